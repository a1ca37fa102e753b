// Tell every story about a server: `node tell.mjs <origin> [published|watchword] [part of a name]`.

import { tellAll } from "./checks.mjs";
import { World } from "./world.mjs";

import "./stories/signing.mjs";
import "./stories/sessions.mjs";
import "./stories/passwords.mjs";
import "./stories/users.mjs";
import "./stories/verification.mjs";
import "./stories/accounts.mjs";
import "./stories/switches.mjs";
import "./stories/stores.mjs";
import "./stories/usernames.mjs";
import "./stories/copies.mjs";

const [origin, server = "watchword", wanted = ""] = process.argv.slice(2);
const failed = await tellAll(new World(origin, server), wanted);
process.exit(failed ? 1 : 0);
