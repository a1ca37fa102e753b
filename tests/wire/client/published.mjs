// The published server: its settings, which are those of INSTANCES in conftest.py, and its clock.

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { username } from "better-auth/plugins";
import Database from "better-sqlite3";

// --- the clock ---------------------------------------------------------------------------

const RealDate = Date;
let offset = 0;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [RealDate.now() + offset]));
  }

  static now() {
    return RealDate.now() + offset;
  }
};

export function passSeconds(seconds) {
  offset += 1000 * seconds;
}

export function turnBackTheClock() {
  offset = 0;
}

// --- the instances -----------------------------------------------------------------------

const FIELDS = {
  plan: { type: "string", required: false },
  role: { type: "string", required: false, input: false, defaultValue: "member" },
  rank: { type: "string", required: false, input: false },
  note: { type: "string", required: false, returned: false },
};
const SESSION_FIELDS = {
  theme: { type: "string", required: false },
  level: { type: "string", required: false, input: false },
};

const cachedBy = (strategy) => ({
  emailAndPassword: { enabled: true },
  session: { cookieCache: { enabled: true, strategy } },
});

// Name to settings; `deliver` takes every mail.
function settingsOf(deliver) {
  const send =
    (purpose) =>
    async ({ user, url, token, newEmail }) =>
      deliver({ purpose, to: user.email, url, token, newEmail: newEmail ?? null });
  const reset = { sendResetPassword: send("reset-password"), revokeSessionsOnPasswordReset: true };
  const verify = { sendVerificationEmail: send("verify-email") };
  return {
    open: {
      emailAndPassword: { enabled: true, ...reset },
      emailVerification: verify,
      user: {
        additionalFields: FIELDS,
        changeEmail: { enabled: true },
        deleteUser: { enabled: true },
      },
      session: { additionalFields: SESSION_FIELDS },
    },
    strict: {
      emailAndPassword: { enabled: true, requireEmailVerification: true, ...reset },
      emailVerification: { ...verify, sendOnSignIn: true, autoSignInAfterVerification: true },
      user: {
        changeEmail: {
          enabled: true,
          sendChangeEmailConfirmation: send("confirm-email-change"),
        },
        deleteUser: { enabled: true, sendDeleteAccountVerification: send("delete-user") },
      },
    },
    quiet: { emailAndPassword: { enabled: true, autoSignIn: false } },
    bare: { emailAndPassword: { enabled: true } },
    closed: {},
    deferred: {
      emailAndPassword: { enabled: true },
      session: { deferSessionRefresh: true },
      account: { accountLinking: { allowUnlinkingAll: true } },
    },
    limited: {
      emailAndPassword: { enabled: true },
      rateLimit: { enabled: true, customRules: { "/get-session": { window: 60, max: 5 } } },
    },
    prompt: {
      emailAndPassword: { enabled: true, minPasswordLength: 4, maxPasswordLength: 20 },
      emailVerification: { ...verify, sendOnSignUp: true },
      user: { changeEmail: { enabled: true, updateEmailWithoutVerification: true } },
      session: { expiresIn: 3600, updateAge: 0, freshAge: 0 },
    },
    paths: {
      emailAndPassword: { enabled: true, disableSignUp: true },
      advanced: { skipTrailingSlashes: true },
      disabledPaths: ["/sign-in/email"],
      onAPIError: { errorURL: "/problem?of=mine" },
    },
    shared: {
      emailAndPassword: { enabled: true },
      advanced: {
        cookiePrefix: "shop",
        crossSubDomainCookies: { enabled: true, domain: "example.com" },
      },
      trustedOrigins: [
        "https://app.example.com",
        "http://localhost:3000",
        "https://*.example.org",
        "*.example.net",
        "https://shop-?.example.com",
        "myapp://",
        "other://host/path",
      ],
    },
    cached: cachedBy("compact"),
    cachedSigned: cachedBy("jwt"),
    cachedSealed: cachedBy("jwe"),
    named: { emailAndPassword: { enabled: true }, plugins: [username()] },
    fixed: {
      emailAndPassword: { enabled: true, requireEmailVerification: true },
      emailVerification: { ...verify, sendOnSignIn: true },
      plugins: [
        username({
          minUsernameLength: 2,
          maxUsernameLength: 8,
          usernameNormalization: (name) => name.trim().toLowerCase(),
          validationOrder: { username: "post-normalization" },
          displayUsernameValidator: (shown) => !shown.includes("!"),
          immutableUsername: true,
        }),
      ],
    },
  };
}

// An instance with a database of its own.
export async function newInstance(name, { baseURL, basePath, deliver }) {
  const auth = betterAuth({
    baseURL,
    basePath,
    secret: "correct-horse-battery-staple-0123456789",
    database: new Database(":memory:"),
    rateLimit: { enabled: false },
    logger: { disabled: true },
    telemetry: { enabled: false },
    ...settingsOf(deliver)[name],
  });
  await (await getMigrations(auth.options)).runMigrations();
  return auth;
}
