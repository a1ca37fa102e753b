// What users do with themselves: their data, their address, their end.

import { story, textLike } from "../checks.mjs";
import { pageWentTo } from "../browser.mjs";
import { PASSWORD, tokenOf } from "../world.mjs";

const UNAUTHORIZED = [401, "UNAUTHORIZED", "Unauthorized"];
const DONE = { data: { status: true }, error: null };
const DELETED = { data: { success: true, message: "User deleted" }, error: null };
const NOBODY = { data: null, error: null };
const WRONG = [401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password"];

const userOf = async ({ client }) => (await client.getSession()).data?.user;

story("update the user", async (it, world) => {
  const member = await world.member();
  const { client, browser, user } = member;

  const image = "https://example.org/ada.png";
  it.is("is done", await client.updateUser({ name: "Ada L.", image, plan: "pro" }), DONE);
  it.is("sends the cookie again", Object.keys(browser.lastCookies), ["session_token"]);
  const { updatedAt, ...found } = await userOf(member);
  const { updatedAt: before, ...old } = user;
  it.is("changes what was named", found, { ...old, name: "Ada L.", image, plan: "pro" });
  it.is("and when it was changed", updatedAt >= before, true);
  it.is("null takes the image away", await client.updateUser({ image: null }), DONE);
  it.is("which is then null", (await userOf(member)).image, null);
  it.is("null takes a field away", await client.updateUser({ plan: null }), DONE);
  it.is("which is null then", (await userOf(member)).plan, null);
  it.is("unknown keys are ignored", await client.updateUser({ name: "Ada", id: "x", x: 1 }), DONE);
  it.is("so is an id", (await userOf(member)).id, user.id);
});

story("update the user refused", async (it, world) => {
  const { client } = await world.member();
  const nothing = [400, null, "No fields to update"];

  it.refused(
    "the address",
    await client.updateUser({ email: "eve@example.org" }),
    400,
    "EMAIL_CAN_NOT_BE_UPDATED",
    "Email can not be updated",
  );
  it.refused(
    "a field that is not for input",
    await client.updateUser({ rank: "countess" }),
    400,
    "FIELD_NOT_ALLOWED",
    "rank is not allowed to be set",
  );
  it.refused("nothing known", await client.updateUser({ emailVerified: true }), ...nothing);
  it.refused(
    "no object",
    await client.$fetch("/update-user", { method: "POST", body: [1] }),
    400,
    "VALIDATION_ERROR",
    "[body] Invalid input: expected record, received array",
  );
  it.refused(
    "a stranger",
    await world.visitor().client.updateUser({ name: "Eve" }),
    ...UNAUTHORIZED,
  );
});

story("change an address that is not verified", async (it, world) => {
  const member = await world.member();
  const { client, browser, email } = member;
  const newEmail = `new.${email}`;

  it.is(
    "is asked for",
    await client.changeEmail({ newEmail, callbackURL: "/settings?a=1" }),
    DONE,
  );
  const mail = await world.mail(newEmail);
  it.is("a link goes to the new address", mail.purpose, mailPurpose(world, "verify-new-email"));
  it.is("and leads to the server", mail.url, linkLike(world, "/api/auth/verify-email"));
  it.is("nothing has changed yet", (await userOf(member)).email, email);

  const opened = await browser.open(mail.url);
  it.is("the link leads to the page", [opened.status, opened.location], [302, "/settings?a=1"]);
  const user = await userOf(member);
  it.is("the address is changed", user.email, newEmail);
  it.is("and counts as verified no more than the old one", user.emailVerified, false);

  const again = await browser.open(mail.url);
  it.is(
    "the link works once",
    [again.status, again.location],
    [302, "/settings?a=1&error=INVALID_TOKEN"],
  );
  const signedIn = await world.elsewhere({
    ...member,
    person: { email: newEmail, password: PASSWORD },
  });
  it.is("signs in with it", (await userOf(signedIn)).id, user.id);
  const stale = await world.visitor().client.signIn.email({ email, password: PASSWORD });
  it.refused("and no more with the old one", stale, ...WRONG);
});

// The published server gives one function both kinds of mail.
const mailPurpose = ({ server }, purpose) => (server === "watchword" ? purpose : "verify-email");

const linkLike = ({ origin }, path) =>
  textLike(new RegExp(`^${origin}${path}\\?(token=[^&]+&callbackURL=|callbackURL=[^&]*&token=)`));

story("change an address refused", async (it, world) => {
  const { client, email } = await world.member();
  const other = await world.member();

  it.refused(
    "the same",
    await client.changeEmail({ newEmail: email }),
    400,
    null,
    "Email is the same",
  );
  it.refused(
    "no address",
    await client.changeEmail({ newEmail: "nonsense" }),
    400,
    "VALIDATION_ERROR",
    "[body.newEmail] Invalid email address",
  );
  it.refused(
    "a page elsewhere",
    await client.changeEmail({ newEmail: `x.${email}`, callbackURL: "https://evil.example" }),
    403,
    "INVALID_CALLBACK_URL",
    "Invalid callbackURL",
  );
  it.refused(
    "a stranger",
    await world.visitor().client.changeEmail({ newEmail: `x.${email}` }),
    ...UNAUTHORIZED,
  );
  it.is(
    "a taken one is answered alike",
    await client.changeEmail({ newEmail: other.email }),
    DONE,
  );
  await client.changeEmail({ newEmail: `x.${email}` });
  await world.mail(`x.${email}`);
  it.is("but no mail is sent", await world.unread(other.email), 0);
});

story("change a verified address", async (it, world) => {
  const member = await verified(world, await world.member("strict"));
  const { client, browser, email } = member;
  const newEmail = `new.${email}`;

  it.is("is asked for", await client.changeEmail({ newEmail, callbackURL: "/settings" }), DONE);
  const first = await world.mail(email);
  it.is(
    "the old address is asked",
    [first.purpose, first.newEmail],
    ["confirm-email-change", newEmail],
  );
  const confirmed = await browser.open(first.url);
  it.is("its link leads to the page", [confirmed.status, confirmed.location], [302, "/settings"]);
  it.is("nothing has changed yet", (await userOf(member)).email, email);
  const second = await world.mail(newEmail);
  it.is("then the new one", second.purpose, mailPurpose(world, "verify-new-email"));
  const opened = await browser.open(second.url);
  it.is("its link leads there too", [opened.status, opened.location], [302, "/settings"]);
  const user = await userOf(member);
  it.is("the address is changed and verified", [user.email, user.emailVerified], [newEmail, true]);
});

// Somebody who has opened the link of the sign-up, and is signed in by it.
export async function verified(world, member) {
  const { url } = await world.mail(member.email);
  await member.browser.open(url);
  return member;
}

story("delete the user", async (it, world) => {
  const member = await world.member();
  const other = await world.elsewhere(member);
  const { client, browser, email } = member;

  it.is("is done", await client.deleteUser({}), DELETED);
  it.is("leaves no cookie", [...browser.cookies.keys()], []);
  it.is("nobody is signed in", await client.getSession(), NOBODY);
  it.is("nor elsewhere", await other.client.getSession(), NOBODY);
  it.refused("nor again", await client.signIn.email({ email, password: PASSWORD }), ...WRONG);
  const { data } = await client.signUp.email(member.person);
  it.is("the address is free", data.user.id === member.user.id, false);
});

story("delete the user with the password", async (it, world) => {
  const { client } = await world.member();
  await world.pass({ days: 2 });

  it.refused(
    "not with a wrong one",
    await client.deleteUser({ password: "analytical-engine" }),
    400,
    "INVALID_PASSWORD",
    "Invalid password",
  );
  it.refused(
    "not with a wrong token",
    await client.deleteUser({ token: "unknown" }),
    404,
    "INVALID_TOKEN",
    "Invalid token",
  );
  it.is("is done, fresh or not", await client.deleteUser({ password: PASSWORD }), DELETED);
  it.refused("not for strangers", await client.deleteUser({}), ...UNAUTHORIZED);
});

story("delete the user by mail", async (it, world) => {
  const member = await verified(world, await world.member("strict"));
  const { client, browser, email } = member;
  const sent = { data: { success: true, message: "Verification email sent" }, error: null };

  it.is("sends a mail", await client.deleteUser({ callbackURL: "/bye?x=1" }), sent);
  const mail = await world.mail(email);
  it.is("to delete", mail.purpose, "delete-user");
  it.is(
    "that leads to the server",
    mail.url,
    linkLike(world, "/strict/auth/delete-user/callback"),
  );
  it.is("the user is still there", (await userOf(member))?.email, email);

  const stranger = await world.visitor("strict").browser.open(mail.url);
  it.is(
    "a stranger cannot open it",
    [stranger.status, codeIn(stranger)],
    [404, "FAILED_TO_GET_USER_INFO"],
  );
  const wrong = await browser.open(mail.url.replace(tokenOf(mail.url), "wrong"));
  it.is("nor does a wrong token", [wrong.status, codeIn(wrong)], [404, "INVALID_TOKEN"]);
  const opened = await browser.open(mail.url);
  it.is("the link deletes, and leads on", [opened.status, opened.location], [302, "/bye?x=1"]);
  it.is("leaves no cookie", [...browser.cookies.keys()], []);
  it.is("nobody is signed in", await client.getSession(), NOBODY);
  it.refused("nor again", await client.signIn.email({ email, password: PASSWORD }), ...WRONG);
});

const codeIn = ({ body }) => JSON.parse(body).code;

story("delete the user by mail with the token", async (it, world) => {
  const member = await verified(world, await world.member("strict"));
  const { client, email } = member;
  pageWentTo();

  await client.deleteUser({ password: PASSWORD });
  const { url } = await world.mail(email);
  it.is("is done", await client.deleteUser({ token: tokenOf(url) }), DELETED);
  it.is("nobody is signed in", await client.getSession(), NOBODY);
});
