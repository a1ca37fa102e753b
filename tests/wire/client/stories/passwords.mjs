// Passwords: changed, proved, and set anew by who can read the mail.

import { aToken, story, textLike } from "../checks.mjs";
import { PASSWORD } from "../world.mjs";
import { verified } from "./users.mjs";

const NEW = "analytical-engine";
const UNAUTHORIZED = [401, "UNAUTHORIZED", "Unauthorized"];
const WRONG = [401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password"];
const SHORT = [400, "PASSWORD_TOO_SHORT", "Password too short"];
const LONG = [400, "PASSWORD_TOO_LONG", "Password too long"];
const INVALID = [400, "INVALID_PASSWORD", "Invalid password"];
const INVALID_TOKEN = [400, "INVALID_TOKEN", "Invalid token"];
const DONE = { data: { status: true }, error: null };
const NOBODY = { data: null, error: null };
const ASKED = {
  data: {
    status: true,
    message: "If this email exists in our system, check your email for the reset link",
  },
  error: null,
};

story("change the password", async (it, world) => {
  const member = await world.member();
  const other = await world.elsewhere(member);
  const { client, email, user } = member;

  const changed = await client.changePassword({ currentPassword: PASSWORD, newPassword: NEW });
  it.is("answers the user and no token", changed, { data: { token: null, user }, error: null });
  it.is("keeps this session", (await client.getSession()).data?.user.id, user.id);
  it.is("and others", (await other.client.getSession()).data?.user.id, user.id);
  const stranger = world.visitor().client;
  it.refused(
    "the old one is none",
    await stranger.signIn.email({ email, password: PASSWORD }),
    ...WRONG,
  );
  const { data } = await stranger.signIn.email({ email, password: NEW });
  it.is("the new one signs in", data?.user.id, user.id);
});

story("change the password and end other sessions", async (it, world) => {
  const member = await world.member();
  const other = await world.elsewhere(member);
  const { client, browser, user, token } = member;

  const { data, error } = await client.changePassword({
    currentPassword: PASSWORD,
    newPassword: NEW,
    revokeOtherSessions: true,
  });
  it.is("no error", error, null);
  it.is("answers a token and the user", data, { token: aToken, user });
  it.is("the token is new", data.token === token, false);
  it.is("and in the cookie", Object.keys(browser.lastCookies), ["session_token"]);
  it.is("goes on here", (await client.getSession()).data?.user.id, user.id);
  it.is("and not elsewhere", await other.client.getSession(), NOBODY);
});

story("change the password refused", async (it, world) => {
  const { client } = await world.member();
  const change = (changes) =>
    client.changePassword({ currentPassword: PASSWORD, newPassword: NEW, ...changes });

  it.refused("a wrong one", await change({ currentPassword: "wrong-password" }), ...INVALID);
  it.refused("a short one", await change({ newPassword: "short" }), ...SHORT);
  it.refused("a long one", await change({ newPassword: "x".repeat(129) }), ...LONG);
  it.refused(
    "none",
    await change({ newPassword: undefined }),
    400,
    "VALIDATION_ERROR",
    "[body.newPassword] Invalid input: expected string, received undefined",
  );
  it.refused(
    "a stranger",
    await world.visitor().client.changePassword({ currentPassword: PASSWORD, newPassword: NEW }),
    ...UNAUTHORIZED,
  );
});

story("verify the password", async (it, world) => {
  const { client } = await world.member();
  const stranger = world.visitor().client;

  it.is("the right one", await client.verifyPassword({ password: PASSWORD }), DONE);
  it.refused("a wrong one", await client.verifyPassword({ password: NEW }), ...INVALID);
  it.refused("a long one", await client.verifyPassword({ password: "x".repeat(129) }), ...LONG);
  it.refused(
    "a stranger's",
    await stranger.verifyPassword({ password: PASSWORD }),
    ...UNAUTHORIZED,
  );
});

story("reset the password", async (it, world) => {
  const member = await world.member();
  const { email, user, browser } = member;
  const { client } = world.visitor();

  const asked = await client.requestPasswordReset({ email, redirectTo: "/reset?x=1" });
  it.is("is asked for", asked, ASKED);
  const mail = await world.mail(email);
  it.is("sends a mail", mail.purpose, "reset-password");
  it.is("with a link to the server", mail.url, linkLike(world));
  const opened = await browser.open(mail.url);
  it.is(
    "that leads to the page, with a token",
    [opened.status, opened.location],
    [302, textLike(new RegExp(`^${world.origin}/reset\\?x=1&token=[A-Za-z0-9_-]+$`))],
  );
  const token = new URL(opened.location).searchParams.get("token");

  const short = await client.resetPassword({ token, newPassword: "short" });
  it.refused("a short one is refused", short, ...SHORT);
  const long = await client.resetPassword({ token, newPassword: "x".repeat(129) });
  it.refused("and a long one", long, ...LONG);
  it.is("the token survives that", await client.resetPassword({ token, newPassword: NEW }), DONE);
  it.is("nobody is signed in by it", await client.getSession(), NOBODY);
  it.is("sessions are ended", await member.client.getSession(), NOBODY);
  const again = await client.resetPassword({ token, newPassword: PASSWORD });
  it.refused("the token works once", again, ...INVALID_TOKEN);
  const late = await browser.open(mail.url);
  it.is(
    "so does the link",
    [late.status, late.location],
    [302, `${world.origin}/reset?x=1&error=INVALID_TOKEN`],
  );
  const old = await client.signIn.email({ email, password: PASSWORD });
  it.refused("the old password is none", old, ...WRONG);
  const { data } = await client.signIn.email({ email, password: NEW });
  it.is("the new one signs in", data?.user.id, user.id);
});

const linkLike = ({ origin }) =>
  textLike(
    new RegExp(
      `^${origin}/api/auth/reset-password/[A-Za-z0-9_-]+\\?callbackURL=%2Freset%3Fx%3D1$`,
    ),
  );

story("reset the password refused", async (it, world) => {
  const { email } = await world.member();
  const { client, browser } = world.visitor();
  const reset = (body) => client.resetPassword({ newPassword: NEW, ...body });

  const unknown = await client.requestPasswordReset({ email: "nobody@example.org" });
  it.is("an unknown address is answered alike", unknown, ASKED);
  it.refused("an unknown token", await reset({ token: "unknown" }), ...INVALID_TOKEN);
  it.refused("no token", await reset({}), ...INVALID_TOKEN);
  it.refused(
    "a page elsewhere",
    await client.requestPasswordReset({ email, redirectTo: "https://evil.example" }),
    403,
    "INVALID_REDIRECT_URL",
    "Invalid redirectURL",
  );
  const base = `${world.origin}/api/auth/reset-password/unknown`;
  const opened = await browser.open(`${base}?callbackURL=%2Freset`);
  it.is(
    "a link that is unknown says so on the page",
    [opened.status, opened.location],
    [302, `${world.origin}/reset?error=INVALID_TOKEN`],
  );
  const elsewhere = await browser.open(`${base}?callbackURL=https%3A%2F%2Fevil.example`);
  it.is(
    "and leads nowhere else",
    [elsewhere.status, JSON.parse(elsewhere.body).code],
    [403, "INVALID_CALLBACK_URL"],
  );
  await client.requestPasswordReset({ email });
  const mail = await world.mail(email);
  await world.pass({ hours: 2 });
  const late = await reset({ token: mail.token });
  it.refused("a token that is too old", late, ...INVALID_TOKEN);
  it.is("no mail went to nobody", await world.unread("nobody@example.org"), 0);
});

story("reset the password of who is not verified", async (it, world) => {
  const member = await world.member("strict");
  await world.mail(member.email);
  const { client } = member;

  await client.requestPasswordReset({ email: member.email, redirectTo: "/reset" });
  const { token } = await world.mail(member.email);
  it.is("is done", await client.resetPassword({ token, newPassword: NEW }), DONE);
  const { data, error } = await client.signIn.email({ email: member.email, password: NEW });
  it.is("does not verify the address", [data, error?.code], [null, "EMAIL_NOT_VERIFIED"]);
  await verified(world, member);
  it.is(
    "the link of the sign-in does",
    (await client.getSession()).data?.user.emailVerified,
    true,
  );
});
