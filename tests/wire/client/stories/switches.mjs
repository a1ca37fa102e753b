// What is switched off says so, and who calls too often is told to wait.

import { story } from "../checks.mjs";
import { PASSWORD } from "../world.mjs";

const MISSING = { data: null, error: { status: 404, statusText: "Not Found" } };

story("without passwords", async (it, world) => {
  const { client, person, email } = world.visitor("closed");

  it.refused(
    "nobody signs up",
    await client.signUp.email(person),
    400,
    "EMAIL_PASSWORD_SIGN_UP_DISABLED",
    "Email and password sign up is not enabled",
  );
  it.refused(
    "nobody signs in",
    await client.signIn.email({ email, password: PASSWORD }),
    400,
    "EMAIL_PASSWORD_DISABLED",
    "Email and password is not enabled",
  );
});

story("without mail", async (it, world) => {
  const { client, email } = await world.member("bare");

  it.refused(
    "no password is reset",
    await client.requestPasswordReset({ email }),
    400,
    "RESET_PASSWORD_DISABLED",
    "Reset password isn't enabled",
  );
  it.refused(
    "no address is verified",
    await client.sendVerificationEmail({ email }),
    400,
    "VERIFICATION_EMAIL_NOT_ENABLED",
    "Verification email isn't enabled",
  );
  it.refused(
    "no address is changed",
    await client.changeEmail({ newEmail: `new.${email}` }),
    400,
    "CHANGE_EMAIL_DISABLED",
    "Change email is disabled",
  );
  it.is("nobody is deleted", await client.deleteUser({}), MISSING);
  it.is("the user is there", (await client.getSession()).data?.user.email, email);
});

story("too many calls", async (it, world) => {
  const { client, browser, email } = world.visitor("limited");
  const signIn = () => client.signIn.email({ email, password: PASSWORD });
  const limited = [429, null, "Too many requests. Please try again later."];

  for (const call of ["first", "second", "third"]) {
    it.is(`the ${call} is answered`, (await signIn()).error?.status, 401);
  }
  it.refused("the fourth is refused", await signIn(), ...limited);
  const { headers } = browser.exchanges.at(-1);
  const seconds = Number(headers.get("x-retry-after"));
  it.is("and told when to come again", seconds > 0 && seconds <= 10, true);
  it.differs("also as programs read it", headers.get("retry-after"), {
    watchword: String(seconds),
    published: null,
    why: "proxies and other clients know Retry-After",
  });
  it.is("other calls are answered", await client.getSession(), { data: null, error: null });
  await world.pass({ seconds: 11 });
  it.is("and then this one too", (await signIn()).error?.status, 401);
});
