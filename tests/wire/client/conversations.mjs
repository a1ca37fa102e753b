// What is said to the server when it is recorded: every endpoint, and its refusals.

import { SIGNING } from "./conversations/signing.mjs";
import { SESSIONS } from "./conversations/sessions.mjs";
import { USERS } from "./conversations/users.mjs";
import { SECRETS } from "./conversations/secrets.mjs";
import { REQUESTS } from "./conversations/requests.mjs";
import { USERNAMES } from "./conversations/usernames.mjs";

export const CONVERSATIONS = {
  ...SIGNING,
  ...SESSIONS,
  ...USERS,
  ...SECRETS,
  ...REQUESTS,
  ...USERNAMES,
};
