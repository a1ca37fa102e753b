// Sessions: who is signed in, where else, and for how long.

import { aDate, aText, story, within } from "../checks.mjs";
import { openSessionLike } from "./shapes.mjs";

const UNAUTHORIZED = [401, "UNAUTHORIZED", "Unauthorized"];
const STALE = [403, "SESSION_NOT_FRESH", "Session is not fresh"];
const DONE = { data: { status: true }, error: null };
const NOBODY = { data: null, error: null };

const tokensOf = ({ data }) => data.map(({ token }) => token);
const idsOf = ({ data }) => data.map(({ id }) => id).sort();
const idOf = async ({ client }) => (await client.getSession()).data.session.id;

story("list sessions", async (it, world) => {
  const member = await world.member();
  const other = await world.elsewhere(member);

  const listed = await member.client.listSessions();
  it.is("no error", listed.error, null);
  const session = openSessionLike({ userId: member.user.id });
  it.is("both, as the client knows sessions", listed.data, [session, session]);
  it.is("by its token this one is known", tokensOf(listed).includes(member.token), true);
  it.differs("and the other by its own", tokensOf(listed).includes(other.token), {
    watchword: false,
    published: true,
    why: "who reads the answer cannot take over other sessions; its token revokes, and no more",
  });
  it.is(
    "as get-session tells it",
    (await member.client.getSession()).data.session.token,
    member.token,
  );
  it.is("its own and the other", idsOf(listed), [await idOf(member), await idOf(other)].sort());
  it.refused("not for strangers", await world.visitor().client.listSessions(), ...UNAUTHORIZED);
});

story("revoke a session", async (it, world) => {
  const member = await world.member();
  const other = await world.elsewhere(member);
  const stranger = await world.member();
  const listed = await member.client.listSessions();
  const otherId = await idOf(other);
  const { token } = listed.data.find(({ id }) => id === otherId);

  it.is(
    "a stranger's try is answered alike",
    await stranger.client.revokeSession({ token }),
    DONE,
  );
  it.is("and does nothing", (await other.client.getSession()).data?.user.id, member.user.id);
  it.is("an unknown token too", await member.client.revokeSession({ token: "unknown" }), DONE);
  it.is("by the token of the list", await member.client.revokeSession({ token }), DONE);
  it.is("ends it", await other.client.getSession(), NOBODY);
  it.is("and no other", (await member.client.getSession()).data?.user.id, member.user.id);

  const third = await world.elsewhere(member);
  it.is(
    "by the token of a sign-in",
    await member.client.revokeSession({ token: third.token }),
    DONE,
  );
  it.is("ends that", await third.client.getSession(), NOBODY);
  it.refused(
    "not without a token",
    await member.client.revokeSession({ id: otherId }),
    400,
    "VALIDATION_ERROR",
    "[body.token] Invalid input: expected string, received undefined",
  );
  it.refused(
    "not for strangers",
    await world.visitor().client.revokeSession({ token }),
    ...UNAUTHORIZED,
  );
});

story("revoke the session in use", async (it, world) => {
  const { client, browser, token } = await world.member();

  it.is("by its own token", await client.revokeSession({ token }), DONE);
  it.is("nobody is signed in", await client.getSession(), NOBODY);
  it.is("and no cookie is left", [...browser.cookies.keys()], []);
});

story("revoke the other sessions", async (it, world) => {
  const member = await world.member();
  const others = [await world.elsewhere(member), await world.elsewhere(member)];
  const mine = await idOf(member);

  it.is("is done", await member.client.revokeOtherSessions(), DONE);
  it.is("sets no cookie", member.browser.lastCookies, {});
  for (const [index, { client }] of others.entries()) {
    it.is(`ends other ${index + 1}`, await client.getSession(), NOBODY);
  }
  it.is("keeps this one", idsOf(await member.client.listSessions()), [mine]);
  it.refused(
    "not for strangers",
    await world.visitor().client.revokeOtherSessions(),
    ...UNAUTHORIZED,
  );
});

story("revoke all sessions", async (it, world) => {
  const member = await world.member();
  const other = await world.elsewhere(member);

  it.is("is done", await member.client.revokeSessions(), DONE);
  it.is("leaves no cookie", [...member.browser.cookies.keys()], []);
  it.is("ends this one", await member.client.getSession(), NOBODY);
  it.is("and the other", await other.client.getSession(), NOBODY);
  it.refused("not for strangers", await world.visitor().client.revokeSessions(), ...UNAUTHORIZED);
});

story("update a session", async (it, world) => {
  const { client, user } = await world.member();

  const updated = await client.updateSession({ theme: "dark", userId: "other" });
  it.is("answers it", updated, {
    data: { session: openSessionLike({ userId: user.id, theme: "dark" }) },
    error: null,
  });
  const { data } = await client.getSession();
  it.is("keeps it", data.session.theme, "dark");
  const nothing = [400, null, "No fields to update"];
  it.refused("not nothing", await client.updateSession({ unknown: 1 }), ...nothing);
  it.refused("not its own fields", await client.updateSession({ expiresAt: 5 }), ...nothing);
  it.refused(
    "not a field that is not for input",
    await client.updateSession({ level: "root" }),
    400,
    "FIELD_NOT_ALLOWED",
    "level is not allowed to be set",
  );
  it.refused(
    "not for strangers",
    await world.visitor().client.updateSession({ theme: "dark" }),
    ...UNAUTHORIZED,
  );
});

story("a session in use", async (it, world) => {
  const { client, browser } = await world.member();
  const before = (await client.getSession()).data.session;
  it.is("is not renewed within a day", browser.lastCookies, {});

  await world.pass({ days: 2 });
  await client.getSession({ query: { disableRefresh: true } });
  it.is("nor where the caller says so", browser.lastCookies, {});
  const { data } = await client.getSession();
  const later = new Date(+before.expiresAt + 2 * 86_400_000);
  it.is("is renewed after that", data.session.expiresAt, within(60, later));
  it.is("with its cookie", Object.keys(browser.lastCookies), ["session_token"]);
  it.is("and stays the same", data.session.id, before.id);

  await world.pass({ days: 8 });
  it.is("ends when nobody used it", await client.getSession(), NOBODY);
  it.is("and its cookies go", [...browser.cookies.keys()], []);
});

story("a session that passes", async (it, world) => {
  const { client } = await world.member("open", {}, { rememberMe: false });

  await world.pass({ hours: 23 });
  it.is("lives for a day", (await client.getSession()).data?.user.name, "Ada");
  await world.pass({ hours: 2 });
  it.is("and no longer", await client.getSession(), NOBODY);
});

story("a session that is not fresh", async (it, world) => {
  const { client } = await world.member();
  await world.pass({ days: 2 });

  it.is("is still a session", (await client.getSession()).data?.user.name, "Ada");
  it.refused("lists none", await client.listSessions(), ...STALE);
  it.refused("unlinks nothing", await client.unlinkAccount({ accountId: "x" }), ...STALE);
  it.refused(
    "deletes nobody",
    await client.deleteUser({}),
    400,
    "SESSION_EXPIRED",
    "Session expired. Re-authenticate to perform this action.",
  );
});

story("a renewal that is deferred", async (it, world) => {
  const { client, browser } = await world.member("deferred");

  const young = await client.getSession();
  it.is("is not needed at first", young.data.needsRefresh, false);
  await world.pass({ days: 2 });
  const older = await client.getSession();
  it.is("is needed later", older.data.needsRefresh, true);
  it.is("and not done by reading", browser.lastCookies, {});
  it.is("dates are as before", older.data.session.expiresAt, young.data.session.expiresAt);

  const renewed = await client.$fetch("/get-session", { method: "POST", body: {} });
  it.is("is done by POST", renewed.error, null);
  const later = new Date(+young.data.session.expiresAt + 2 * 86_400_000);
  it.is("with a new end", renewed.data.session.expiresAt, within(60, later));
  it.is("and a cookie", Object.keys(browser.lastCookies), ["session_token"]);
  it.is("the user is there", renewed.data.user, {
    ...older.data.user,
    updatedAt: aDate,
    id: aText,
  });
});

story("a renewal by POST that is not deferred", async (it, world) => {
  const { client } = await world.member();

  it.refused(
    "is refused",
    await client.$fetch("/get-session", { method: "POST", body: {} }),
    405,
    "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED",
    "POST method requires deferSessionRefresh to be enabled in session config",
  );
});

story("calls with cookies from elsewhere", async (it, world) => {
  const { client, browser } = await world.member();
  const from = (origin) => ({ fetchOptions: { headers: { origin } } });

  it.refused(
    "another origin",
    await client.updateUser({ name: "Eve", ...from("https://evil.example") }),
    403,
    "INVALID_ORIGIN",
    "Invalid origin",
  );
  it.refused(
    "an origin of null",
    await client.updateUser({ name: "Eve", ...from("null") }),
    403,
    "MISSING_OR_NULL_ORIGIN",
    "Missing or null Origin",
  );
  it.refused(
    "signing out",
    await client.signOut(from("https://evil.example")),
    403,
    "INVALID_ORIGIN",
    "Invalid origin",
  );
  it.is("nothing happened", (await client.getSession()).data?.user.name, "Ada");
  browser.cookies.clear();
  it.refused(
    "without cookies the session is missing instead",
    await client.updateUser({ name: "Eve", ...from("https://evil.example") }),
    ...UNAUTHORIZED,
  );
});
