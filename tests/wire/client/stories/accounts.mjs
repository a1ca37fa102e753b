// Accounts: the ways in that a user has.

import { aDate, anId, story } from "../checks.mjs";

const UNAUTHORIZED = [401, "UNAUTHORIZED", "Unauthorized"];
const LAST = [400, "FAILED_TO_UNLINK_LAST_ACCOUNT", "You can't unlink your last account"];

story("list accounts", async (it, world) => {
  const { client, user } = await world.member();

  it.is("the password's, as the client knows accounts", await client.listAccounts(), {
    data: [
      {
        id: anId,
        accountId: user.id,
        providerId: "credential",
        userId: user.id,
        scopes: [],
        createdAt: aDate,
        updatedAt: aDate,
      },
    ],
    error: null,
  });
  it.refused("not for strangers", await world.visitor().client.listAccounts(), ...UNAUTHORIZED);
});

story("unlink an account", async (it, world) => {
  const { client } = await world.member();
  const [account] = (await client.listAccounts()).data;
  const stranger = world.visitor().client;

  it.refused("not the last", await client.unlinkAccount({ accountId: account.id }), ...LAST);
  it.refused(
    "before it is looked for",
    await client.unlinkAccount({ accountId: "unknown" }),
    ...LAST,
  );
  it.refused(
    "not by its provider",
    await client.unlinkAccount({ providerId: "credential" }),
    400,
    "VALIDATION_ERROR",
    "[body.accountId] Invalid input: expected string, received undefined",
  );
  it.refused(
    "not for strangers",
    await stranger.unlinkAccount({ accountId: account.id }),
    ...UNAUTHORIZED,
  );
  it.is("it is still there", (await client.listAccounts()).data[0], account);
});

story("unlink every account", async (it, world) => {
  const { client } = await world.member("deferred");
  const [account] = (await client.listAccounts()).data;

  it.refused(
    "not an unknown one",
    await client.unlinkAccount({ accountId: "unknown" }),
    400,
    "ACCOUNT_NOT_FOUND",
    "Account not found",
  );
  it.is("where that is allowed", await client.unlinkAccount({ accountId: account.id }), {
    data: { status: true },
    error: null,
  });
  it.is("none is left", (await client.listAccounts()).data, []);
  it.refused(
    "there is no password to change",
    await client.changePassword({
      currentPassword: "difference-engine",
      newPassword: "x".repeat(9),
    }),
    400,
    "CREDENTIAL_ACCOUNT_NOT_FOUND",
    "Credential account not found",
  );
  it.refused(
    "nor to verify",
    await client.verifyPassword({ password: "difference-engine" }),
    400,
    "INVALID_PASSWORD",
    "Invalid password",
  );
});
