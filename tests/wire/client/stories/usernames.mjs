// User names: taken at the sign-up, asked for, changed, and signed in with.

import { usernameClient } from "better-auth/client/plugins";

import { aToken, story, textLike } from "../checks.mjs";
import { PASSWORD, until } from "../world.mjs";
import { userLike } from "./shapes.mjs";

const WRONG = [401, "INVALID_USERNAME_OR_PASSWORD", "Invalid username or password"];
const TAKEN = [
  400,
  "USERNAME_IS_ALREADY_TAKEN",
  "Username is already taken. Please try another.",
];
const PLUGINS = { plugins: [usernameClient()] };

let names = 0;

// Somebody with a name that nobody has, in capitals.
async function named(world) {
  const name = `Ada_${++names}`;
  const member = await world.member("named", PLUGINS, { username: name });
  return { ...member, name };
}

const visitorOf = (world, instance = "named") => world.visitor(instance, PLUGINS).client;

story("sign up with a user name", async (it, world) => {
  const { client, email, user, name } = await named(world);

  const expected = userLike({ email, username: name.toLowerCase(), displayUsername: name });
  it.is("answers both forms", user, expected);
  it.is("the session's user has them", (await client.getSession()).data.user, user);
  const other = world.visitor("named", PLUGINS);
  const again = await other.client.signUp.email({ ...other.person, username: name.toUpperCase() });
  it.refused("nobody else gets it", again, ...TAKEN);
});

story("sign in with a user name", async (it, world) => {
  const { user, name } = await named(world);
  const { client, browser } = world.visitor("named", PLUGINS);

  const { data, error } = await client.signIn.username({ username: name, password: PASSWORD });
  it.is("no error", error, null);
  it.is("answers token and user", data, { redirect: false, token: aToken, user });
  it.is("sets the session cookie", Object.keys(browser.lastCookies), ["session_token"]);
  it.is("is signed in", (await client.getSession()).data.user, user);
  const spelt = { username: name.toUpperCase(), password: PASSWORD, rememberMe: false };
  await visitorOf(world).signIn.username(spelt);
  it.is("in any spelling", (await visitorOf(world).signIn.username(spelt)).data.user, user);
});

story("sign in with a user name and go on", async (it, world) => {
  const { name, user } = await named(world);

  const { data } = await visitorOf(world).signIn.username({
    username: name,
    password: PASSWORD,
    callbackURL: "/dash",
  });
  it.is("is told where", data, { redirect: true, token: aToken, url: "/dash", user });
});

story("sign in with a user name tells the stores", async (it, world) => {
  const { name, user } = await named(world);
  const client = visitorOf(world);
  const session = client.$store.atoms.session;
  await until(session, ({ isPending }) => !isPending);

  await client.signIn.username({ username: name, password: PASSWORD });
  const { data } = await until(session, (value) => value.data !== null);
  it.is("the session is fetched again", data.user, user);
});

story("sign in with a user name refused", async (it, world) => {
  const { name } = await named(world);
  const client = visitorOf(world);
  const signIn = (username, password = PASSWORD) => client.signIn.username({ username, password });

  it.refused("a wrong password", await signIn(name, "analytical-engine"), ...WRONG);
  it.refused("an unknown name", await signIn("nobody"), ...WRONG);
  it.refused("no name", await signIn(""), ...WRONG);
  it.refused("no password", await signIn(name, ""), ...WRONG);
  it.refused(
    "a short name",
    await signIn("ab"),
    422,
    "USERNAME_TOO_SHORT",
    "Username is too short",
  );
  it.refused(
    "a long name",
    await signIn("a".repeat(31)),
    422,
    "USERNAME_TOO_LONG",
    "Username is too long",
  );
  it.refused("no name at all", await signIn("a b c"), 422, "INVALID_USERNAME", "Username is invalid");
  it.refused(
    "a long password",
    await signIn(name, "x".repeat(129)),
    400,
    "PASSWORD_TOO_LONG",
    "Password too long",
  );
  it.is("nobody is signed in", await client.getSession(), { data: null, error: null });
});

story("ask for a user name", async (it, world) => {
  const { client, name } = await named(world);
  const ask = (username) => client.isUsernameAvailable({ username });

  it.is("one's own is taken", await ask(name), { data: { available: false }, error: null });
  it.is("another is free", await ask(`${name}x`), { data: { available: true }, error: null });
  it.refused("none is none", await ask(""), 422, "INVALID_USERNAME", "Username is invalid");
  it.refused("a short one", await ask("ab"), 422, "USERNAME_TOO_SHORT", "Username is too short");
});

story("change a user name", async (it, world) => {
  const { client, name } = await named(world);
  const other = await named(world);
  const done = { data: { status: true }, error: null };

  it.is("to a free one", await client.updateUser({ username: `${name}X` }), done);
  const { user } = (await client.getSession()).data;
  it.is("the name is another", user.username, `${name}x`.toLowerCase());
  it.is("what is shown is not", user.displayUsername, name);
  it.refused("not to another's", await client.updateUser({ username: other.name }), ...TAKEN);
  it.refused(
    "not to none",
    await client.updateUser({ username: "a b c" }),
    400,
    "INVALID_USERNAME",
    "Username is invalid",
  );
  it.is("the form that is shown", await client.updateUser({ displayUsername: "A. L." }), done);
  it.is("changes alone", (await client.getSession()).data.user.displayUsername, "A. L.");
});

story("a user name that stays", async (it, world) => {
  const visitor = world.visitor("fixed", PLUGINS);
  const { client, email, person } = visitor;
  const username = `n${++names}`;
  await client.signUp.email({ ...person, username });
  const signIn = () => client.signIn.username({ username, password: PASSWORD });

  it.refused("unverified", await signIn(), 403, "EMAIL_NOT_VERIFIED", "Email not verified");
  await world.mail(email);
  const { url } = await world.mail(email);
  it.is("is sent a link", url, textLike(/\/fixed\/auth\/verify-email\?token=/));
  await visitor.browser.open(url);
  it.is("verified", (await signIn()).data.user.username, username);
  it.refused(
    "keeps the name",
    await client.updateUser({ username: "another" }),
    400,
    "USERNAME_IS_IMMUTABLE",
    "Username cannot be updated",
  );
  it.is("which is no change", (await client.updateUser({ username })).error, null);
  it.refused(
    "shows nothing that is not wanted",
    await client.updateUser({ displayUsername: "A!" }),
    400,
    "INVALID_DISPLAY_USERNAME",
    "Display username is invalid",
  );
});
