// Proving to own an address.

import { aToken, story, textLike } from "../checks.mjs";
import { PASSWORD, tokenOf } from "../world.mjs";
import { userLike } from "./shapes.mjs";
import { verified } from "./users.mjs";

const UNVERIFIED = [403, "EMAIL_NOT_VERIFIED", "Email not verified"];
const DONE = { data: { status: true }, error: null };
const NOBODY = { data: null, error: null };

story("sign up where addresses are verified", async (it, world) => {
  const { client, browser, email, person } = world.visitor("strict");

  const signedUp = await client.signUp.email({ ...person, callbackURL: "/welcome?a=1" });
  it.is("answers the user and no token", signedUp, {
    data: { token: null, user: userLike({ email }) },
    error: null,
  });
  it.is("sets no cookie", [...browser.cookies.keys()], []);
  const mail = await world.mail(email);
  it.is("sends a mail", mail.purpose, "verify-email");
  it.is("with a link to the server", mail.url, linkLike(world, "%2Fwelcome%3Fa%3D1"));

  const opened = await browser.open(mail.url);
  it.is("that leads to the page", [opened.status, opened.location], [302, "/welcome?a=1"]);
  const { data } = await client.getSession();
  it.is("and signs in, verified", [data?.user.email, data?.user.emailVerified], [email, true]);

  const stranger = world.visitor("strict");
  const again = await stranger.browser.open(mail.url);
  it.is(
    "the link a second time leads there too",
    [again.status, again.location],
    [302, "/welcome?a=1"],
  );
  it.is("but signs nobody in", await stranger.client.getSession(), NOBODY);

  const taken = await stranger.client.signUp.email({ ...person, name: "Eve" });
  it.is("a taken address is answered alike", taken, {
    data: { token: null, user: userLike({ email, name: "Eve" }) },
    error: null,
  });
  const signedIn = await client.signIn.email({ email, password: PASSWORD });
  it.is("signs in from now on", signedIn.data?.token, aToken);
});

const linkLike = ({ origin }, callback) =>
  textLike(
    new RegExp(`^${origin}/strict/auth/verify-email\\?token=[^&]+&callbackURL=${callback}$`),
  );

story("sign in unverified", async (it, world) => {
  const { client, email } = await world.member("strict");
  await world.mail(email);
  const signIn = (changes) => client.signIn.email({ email, password: PASSWORD, ...changes });

  const wrong = await signIn({ password: "wrong-password" });
  it.is("a wrong password is told first", wrong.error?.code, "INVALID_EMAIL_OR_PASSWORD");
  it.refused("is refused", await signIn({ callbackURL: "/in" }), ...UNVERIFIED);
  const mail = await world.mail(email);
  it.is("and sends a link", mail.url, linkLike(world, "%2Fin"));
  it.is("once", await world.unread(email), 0);
});

story("ask for the link again", async (it, world) => {
  const { client, browser, email } = await world.member("strict");
  await world.mail(email);

  const asked = await client.sendVerificationEmail({ email, callbackURL: "/in?x=1" });
  it.is("is done", asked, DONE);
  const mail = await world.mail(email);
  it.is("sends a link", mail.url, linkLike(world, "%2Fin%3Fx%3D1"));
  const unknown = await client.sendVerificationEmail({ email: "nobody@example.org" });
  it.is("an unknown address is answered alike", unknown, DONE);
  const verification = await client.verifyEmail({ query: { token: tokenOf(mail.url) } });
  it.is("the client verifies by the token", verification, {
    data: { status: true, user: null },
    error: null,
  });
  it.is("and is signed in", Object.keys(browser.lastCookies), ["session_token"]);
  const other = world.visitor("strict").client;
  it.is("a verified one is answered alike", await other.sendVerificationEmail({ email }), DONE);
  it.refused(
    "but not who is signed in",
    await client.sendVerificationEmail({ email }),
    400,
    "EMAIL_ALREADY_VERIFIED",
    "Email is already verified",
  );
  it.refused(
    "nor for another address",
    await client.sendVerificationEmail({ email: "eve@example.org" }),
    400,
    "EMAIL_MISMATCH",
    "Email mismatch",
  );
  it.refused(
    "nor for none",
    await client.sendVerificationEmail({ email: "nonsense" }),
    400,
    "VALIDATION_ERROR",
    "[body.email] Invalid email address",
  );
  it.refused(
    "nor with a page elsewhere",
    await client.sendVerificationEmail({ email, callbackURL: "https://evil.example" }),
    403,
    "INVALID_CALLBACK_URL",
    "Invalid callbackURL",
  );
  it.is("no mail went to others", await world.unread("nobody@example.org"), 0);
  it.is("nor to who is verified", await world.unread(email), 0);
});

story("verify with a bad link", async (it, world) => {
  const { client, browser, email } = await world.member("strict");
  const { url } = await world.mail(email);
  const verify = `${world.origin}/strict/auth/verify-email`;

  it.refused(
    "an unknown token",
    await client.verifyEmail({ query: { token: "unknown" } }),
    401,
    "INVALID_TOKEN",
    "Invalid token",
  );
  it.refused(
    "no token",
    await client.verifyEmail({ query: {} }),
    400,
    "VALIDATION_ERROR",
    "[query.token] Invalid input: expected string, received undefined",
  );
  const opened = await browser.open(`${verify}?token=unknown&callbackURL=%2Fin%3Fx%3D1`);
  it.is(
    "the page is told",
    [opened.status, opened.location],
    [302, "/in?x=1&error=INVALID_TOKEN"],
  );
  const elsewhere = `${verify}?token=${tokenOf(url)}&callbackURL=https%3A%2F%2Fevil.example`;
  const refused = await browser.open(elsewhere);
  it.is(
    "a page elsewhere is not",
    [refused.status, JSON.parse(refused.body).code],
    [403, "INVALID_CALLBACK_URL"],
  );
  await world.pass({ hours: 2 });
  const late = await browser.open(url);
  it.is("a link that is too old", [late.status, late.location], [302, "/?error=TOKEN_EXPIRED"]);
  it.is("nobody is signed in", await client.getSession(), NOBODY);
});

story("verify where it is not required", async (it, world) => {
  const { client, email } = await world.member();

  it.is("is asked for", await client.sendVerificationEmail({ email }), DONE);
  const mail = await world.mail(email);
  const answer = await client.verifyEmail({ query: { token: tokenOf(mail.url) } });
  it.is("is done", answer, { data: { status: true, user: null }, error: null });
  it.is("the user is verified", (await client.getSession()).data?.user.emailVerified, true);
  const stranger = await verified(world, await world.member("strict"));
  it.is(
    "the address is its own",
    (await stranger.client.getSession()).data?.user.email,
    stranger.email,
  );
});
