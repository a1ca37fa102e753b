// Copies of the session in a cookie: what reads is answered from them, for five minutes.

import { getCookieCache } from "better-auth/cookies";
import { story } from "../checks.mjs";

const SECRET = "correct-horse-battery-staple-0123456789";
const FOR_FIVE_MINUTES = ["set", "Max-Age=300", "Path=/", "HttpOnly", "SameSite=Lax"];
const NOBODY = { data: null, error: null };
const INSTANCES = { compact: "cached", jwt: "cachedSigned", jwe: "cachedSealed" };

// What the published function for middleware finds in a browser's cookies.
async function foundIn(browser, strategy, secret = SECRET) {
  const headers = new Headers({ cookie: browser.cookieHeader });
  const cookiePrefix = "better-auth";
  return getCookieCache(headers, { secret, strategy, isSecure: false, cookiePrefix });
}

for (const [strategy, instance] of Object.entries(INSTANCES)) {
  story(`a copy of the session, ${strategy}`, async (it, world) => {
    const member = await world.member(instance);
    const { client, browser, user } = member;
    it.is("comes with the sign-up", browser.lastCookies.session_data, FOR_FIVE_MINUTES);
    const { data } = await client.getSession();
    it.is("answers a read", data.user.id, user.id);
    it.is("and is not renewed from itself", browser.lastCookies, {});
    const found = await foundIn(browser, strategy);
    it.is("is read by middleware", found?.user.email, member.email);
    it.is("with the session", found?.session.id, data.session.id);
    it.is("by the secret alone", await foundIn(browser, strategy, `${SECRET}!`), null);

    await client.updateUser({ name: 'Countess "é" 😀' });
    it.is("comes with a change", browser.lastCookies.session_data, FOR_FIVE_MINUTES);
    it.is("tells it at once", (await client.getSession()).data.user.name, 'Countess "é" 😀');
    it.is(
      "to middleware too",
      (await foundIn(browser, strategy))?.user.name,
      'Countess "é" 😀',
    );

    const other = await world.elsewhere(member);
    await other.client.revokeOtherSessions();
    it.is("outlives a revocation", (await client.getSession()).data?.user.id, user.id);
    const past = await client.getSession({ query: { disableCookieCache: true } });
    it.is("but not for who asks past it", past, NOBODY);
    it.is("which clears it", [...browser.cookies.keys()], []);

    await world.pass({ minutes: 5 });
    it.is("ends after its time", (await other.client.getSession()).data?.user.id, user.id);
    it.is("and is made anew", Object.keys(other.browser.lastCookies), ["session_data"]);
    await other.client.signOut();
    it.is("goes with the sign-out", [...other.browser.cookies.keys()], []);
    it.is("with nothing left", await other.client.getSession(), NOBODY);
  });
}

story("a copy that is too long for one cookie", async (it, world) => {
  const image = `https://example.org/${"x".repeat(9000)}`;
  const { client, browser, email } = await world.member("cached", {}, { image });

  const names = [...browser.cookies.keys()].map((name) => name.replace("better-auth.", ""));
  const parts = ["session_data.0", "session_data.1", "session_data.2", "session_data.3"];
  it.is("is divided", names.sort(), [...parts, "session_token"]);
  it.is("answers a read", (await client.getSession()).data.user.image, image);
  it.is("and is not sent again", browser.lastCookies, {});
  it.is("is read by middleware", (await foundIn(browser, "compact"))?.user.email, email);
  await client.updateUser({ image: null });
  it.is("leaves no parts", [...browser.cookies.keys()].sort(), [
    "better-auth.session_data",
    "better-auth.session_token",
  ]);
  it.is("when it has shrunk", (await client.getSession()).data.user.image, null);
});

story("a copy for who is not remembered", async (it, world) => {
  const member = await world.member("cached");
  const { client, browser } = await world.elsewhere(member, { rememberMe: false });
  const { session_data } = browser.lastCookies;

  it.is("goes with the browser", session_data, FOR_FIVE_MINUTES.toSpliced(1, 1));
  await client.getSession();
  it.is("answers a read", browser.lastCookies, {});
  await world.pass({ seconds: 61 });
  await client.getSession();
  it.is("for a minute", Object.keys(browser.lastCookies), ["session_data"]);
});
