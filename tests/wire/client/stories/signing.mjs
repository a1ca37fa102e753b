// Signing up, in and out, and what the cookies are then.

import { aToken, story, textLike, within } from "../checks.mjs";
import { pageWentTo } from "../browser.mjs";
import { PASSWORD } from "../world.mjs";
import { openSessionLike, openUserLike, userLike } from "./shapes.mjs";

const WEEK = 604_800;
const LASTING = ["set", `Max-Age=${WEEK}`, "Path=/", "HttpOnly", "SameSite=Lax"];
const PASSING = ["set", "Path=/", "HttpOnly", "SameSite=Lax"];
const CLEARED = ["cleared", "Max-Age=0", "Path=/", "HttpOnly", "SameSite=Lax"];

story("sign up", async (it, world) => {
  const { client, browser, email, person } = world.visitor();

  const { data, error } = await client.signUp.email(person);
  it.is("no error", error, null);
  it.is("answers token and user", data, { token: aToken, user: openUserLike({ email }) });
  it.is("dates are of now", data.user.createdAt, within(60, new Date()));
  it.is("sets the session cookie for a week", browser.lastCookies, { session_token: LASTING });

  const session = await client.getSession();
  it.is("is signed in", session, {
    data: {
      session: openSessionLike({
        userId: data.user.id,
        expiresAt: session.data.session.expiresAt,
      }),
      user: data.user,
    },
    error: null,
  });
  it.is(
    "for a week",
    session.data.session.expiresAt,
    within(60, new Date(Date.now() + WEEK * 1000)),
  );
});

story("sign up with more", async (it, world) => {
  const { client, browser, email, person } = world.visitor();

  const { data } = await client.signUp.email({
    ...person,
    email: email.toUpperCase(),
    image: "https://example.org/ada.png",
    rememberMe: false,
    plan: "pro",
    role: "admin",
    note: "for us only",
    id: "chosen",
    emailVerified: true,
    unknown: 5,
  });
  it.is("the address is in lower case", data.user.email, email);
  it.is("image and field are kept, others are not", data, {
    token: aToken,
    user: openUserLike({ email, plan: "pro", image: "https://example.org/ada.png" }),
  });
  it.is("rememberMe: false gives cookies that pass", browser.lastCookies, {
    session_token: PASSING,
    dont_remember: PASSING,
  });
});

story("sign up refused", async (it, world) => {
  const { client, email } = await world.member();
  const person = { name: "Ada", email: "new@example.org", password: PASSWORD };
  const signUp = (changes) => client.signUp.email({ ...person, ...changes });

  it.refused(
    "a taken address",
    await signUp({ email }),
    422,
    "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
    "User already exists. Use another email.",
  );
  it.refused(
    "a taken address in capitals",
    await signUp({ email: email.toUpperCase() }),
    422,
    "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
    "User already exists. Use another email.",
  );
  it.refused(
    "a short password",
    await signUp({ password: "short" }),
    400,
    "PASSWORD_TOO_SHORT",
    "Password too short",
  );
  it.refused(
    "a long password",
    await signUp({ password: "x".repeat(129) }),
    400,
    "PASSWORD_TOO_LONG",
    "Password too long",
  );
  it.refused(
    "no address",
    await signUp({ email: "nonsense" }),
    400,
    "VALIDATION_ERROR",
    "[body.email] Invalid email address",
  );
  it.refused(
    "no name",
    await signUp({ name: undefined }),
    400,
    "VALIDATION_ERROR",
    "[body.name] Invalid input: expected string, received undefined",
  );
  it.refused(
    "a number for a password",
    await signUp({ password: 12_345_678 }),
    400,
    "VALIDATION_ERROR",
    "[body.password] Invalid input: expected string, received number",
  );
  it.refused(
    "a field that is not for input",
    await signUp({ rank: "countess" }),
    400,
    "FIELD_NOT_ALLOWED",
    "rank is not allowed to be set",
  );
  it.refused(
    "a page elsewhere to go on",
    await signUp({ callbackURL: "https://evil.example" }),
    403,
    "INVALID_CALLBACK_URL",
    "Invalid callbackURL",
  );
});

story("sign in", async (it, world) => {
  const { person, email, user, token } = await world.member();
  const { client, browser } = world.visitor();
  const signIn = (changes) => client.signIn.email({ email, password: PASSWORD, ...changes });
  pageWentTo();

  const { data, error } = await signIn();
  it.is("no error", error, null);
  it.is("answers token and user", data, { redirect: false, token: aToken, user });
  it.is("the token is a new one", data.token === token, false);
  it.is("sets the session cookie for a week", browser.lastCookies, { session_token: LASTING });
  it.is("the page stays", pageWentTo(), "");

  const away = await signIn({ callbackURL: "/dash?tab=1" });
  it.is("callbackURL comes back as url", away.data, {
    redirect: true,
    url: "/dash?tab=1",
    token: aToken,
    user,
  });
  it.is("and the page goes there", pageWentTo(), "/dash?tab=1");

  const absolute = await signIn({ callbackURL: `${world.origin}/dash` });
  it.is("an absolute one of the origin too", absolute.data.url, `${world.origin}/dash`);
  pageWentTo();

  const inCapitals = await signIn({ email: person.email.toUpperCase() });
  it.is("the address may be in capitals", inCapitals.data.user.id, user.id);
});

story("remember me", async (it, world) => {
  const { email, user } = await world.member();
  const { client, browser } = world.visitor();
  const signIn = (changes) => client.signIn.email({ email, password: PASSWORD, ...changes });

  await signIn({ rememberMe: false });
  it.is("false gives cookies that pass", browser.lastCookies, {
    session_token: PASSING,
    dont_remember: PASSING,
  });
  const { data } = await client.getSession();
  it.is("and a session of a day", data.session.expiresAt, within(60, tomorrow()));

  await client.updateUser({ name: "Ada" });
  it.is("cookies that follow pass too", browser.lastCookies.session_token, PASSING);

  const remembered = await signIn({ rememberMe: true });
  it.is("true is the user again", remembered.data.user.id, user.id);
  it.is("and the cookie lasts", browser.lastCookies, {
    session_token: LASTING,
    dont_remember: CLEARED,
  });
});

const tomorrow = () => new Date(Date.now() + 86_400_000);

story("sign in refused", async (it, world) => {
  const { email, person } = await world.member();
  const { client, browser } = world.visitor();
  const signIn = (changes) => client.signIn.email({ email, password: PASSWORD, ...changes });
  const wrong = [401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password"];

  it.refused("a wrong password", await signIn({ password: "analytical-engine" }), ...wrong);
  it.refused("an unknown address", await signIn({ email: "nobody@example.org" }), ...wrong);
  it.refused(
    "no address",
    await signIn({ email: "nonsense" }),
    400,
    "INVALID_EMAIL",
    "Invalid email",
  );
  it.refused(
    "a long password",
    await signIn({ password: "x".repeat(129) }),
    400,
    "PASSWORD_TOO_LONG",
    "Password too long",
  );
  it.refused(
    "no password",
    await signIn({ password: undefined }),
    400,
    "VALIDATION_ERROR",
    "[body.password] Invalid input: expected string, received undefined",
  );
  it.refused(
    "several mistakes at once",
    await signIn({ email: null, rememberMe: "false" }),
    400,
    "VALIDATION_ERROR",
    "[body.email] Invalid input: expected string, received null; " +
      "[body.rememberMe] Invalid input: expected boolean, received string",
  );
  it.refused(
    "a page elsewhere to go on",
    await signIn({ callbackURL: "//evil.example" }),
    403,
    "INVALID_CALLBACK_URL",
    "Invalid callbackURL",
  );
  it.is("no cookie was set", [...browser.cookies.keys()], []);

  const strange = { fetchOptions: { headers: { origin: "https://evil.example" } } };
  it.refused(
    "another origin",
    await client.signIn.email({ email, password: person.password, ...strange }),
    403,
    "INVALID_ORIGIN",
    "Invalid origin",
  );
  const nowhere = { fetchOptions: { headers: { origin: "null" } } };
  it.refused(
    "an origin of null",
    await client.signIn.email({ email, password: person.password, ...nowhere }),
    403,
    "MISSING_OR_NULL_ORIGIN",
    "Missing or null Origin",
  );
});

story("sign out", async (it, world) => {
  const { client, browser } = await world.member();

  const out = await client.signOut();
  it.is("succeeds", out, { data: { success: true }, error: null });
  it.is("clears three cookies", browser.lastCookies, {
    session_token: CLEARED,
    session_data: CLEARED,
    dont_remember: CLEARED,
  });
  it.is("nobody is signed in", await client.getSession(), { data: null, error: null });
  it.is("succeeds again", (await client.signOut()).data, { success: true });
});

story("a session that was ended elsewhere", async (it, world) => {
  const member = await world.member();
  const { browser, client } = member;
  const kept = new Map(browser.cookies);
  await client.signOut();
  kept.forEach((value, name) => browser.cookies.set(name, value));

  it.is("nobody is signed in", await client.getSession(), { data: null, error: null });
  it.is("and three cookies are cleared", browser.lastCookies, {
    session_token: CLEARED,
    session_data: CLEARED,
    dont_remember: CLEARED,
  });
  browser.cookies.set("better-auth.session_token", { value: "forged.signature" });
  it.is("a forged cookie is nobody", await client.getSession(), { data: null, error: null });
  it.is("and is left alone", browser.lastCookies, {});
});

story("sign up without sign in", async (it, world) => {
  const { client, browser, email, person } = world.visitor("quiet");

  const first = await client.signUp.email(person);
  it.is("answers the user and no token", first, {
    data: { token: null, user: userLike({ email }) },
    error: null,
  });
  it.is("sets no cookie", browser.lastCookies, {});

  const second = await client.signUp.email({ ...person, name: "Somebody" });
  it.is("a taken address is answered alike", second, {
    data: { token: null, user: userLike({ email, name: "Somebody" }) },
    error: null,
  });
  it.is("with another id", second.data.user.id === first.data.user.id, false);
  const signedIn = await client.signIn.email({ email, password: PASSWORD });
  it.is("the first is kept", signedIn.data.user, first.data.user);
});

story("what is not there", async (it, world) => {
  const { client } = world.visitor();

  it.is("ok", await client.$fetch("/ok"), { data: { ok: true }, error: null });
  it.is("an unknown path is 404 without a body", await client.nothing.like.this(), {
    data: null,
    error: { status: 404, statusText: "Not Found" },
  });
  it.is("so is the wrong method", await client.$fetch("/sign-in/email"), {
    data: null,
    error: { status: 404, statusText: "Not Found" },
  });
  const page = await fetch(`${world.origin}/api/auth/error?error=INVALID_TOKEN`);
  it.is("the error page is HTML", page.headers.get("content-type"), textLike(/^text\/html/));
  it.is("with status 200", page.status, 200);
});
