// User names: taken at the sign-up, changed, asked for, and signed in with.

import { BOB, PASSWORD, as, get, mail, open, post, signIn, signUp, whoAmI } from "./steps.mjs";
import { EVIL, wrongTypes } from "./steps.mjs";

const byName = (username, more) =>
  post("/sign-in/username", { username, password: PASSWORD, ...more });
const ask = (username) => post("/is-username-available", { username });
const update = (changes) => post("/update-user", changes);
const numbered = (changes) =>
  changes.map((it, number) => as(`p${number}`, signUp({ email: `p${number}@example.org`, ...it })));
const NOT_NAMES = ["", "ab", "a".repeat(31), "a b c", "ada!", "\uff41\uff44\uff41", "\u0430d\u0430"];

export const USERNAMES = {
  "user names": {
    instance: "named",
    steps: [
      signUp({ username: "Ada_L" }),
      whoAmI,
      as("eve", byName("ada_l")),
      as("eve", byName("ADA_L", { callbackURL: "/dash?a=b" })),
      as("eve", byName("Ada_L", { callbackURL: "" })),
      as("eve", whoAmI),
      as("dan", byName("ada_l", { rememberMe: false })),
      as("dan", byName("ada_l")),
      as("bob", ask("ada_l")),
      as("bob", ask("ADA_L")),
      as("bob", ask("bob")),
      ask("ada_l"),
    ],
  },
  "user names at the sign up": {
    instance: "named",
    steps: [
      ...numbered([
        { displayUsername: "Bob X" },
        { displayUsername: "BobX" },
        { displayUsername: "Al" },
        { username: "Carl", displayUsername: "C. A. R. L." },
        { username: "Dora", displayUsername: "" },
        { username: "e.v_E.9" },
        { username: null, displayUsername: "Fay" },
        { username: "Gil", displayUsername: null },
        { username: "a".repeat(30) },
      ]),
    ],
  },
  "user names refused": {
    instance: "named",
    steps: [
      signUp({ username: "ada_l" }),
      as("bob", signUp(BOB)),
      ...NOT_NAMES.flatMap((it) => [
        as("eve", byName(it)),
        as("eve", ask(it)),
        as("eve", signUp({ email: "eve@example.org", username: it })),
        update({ username: it }),
      ]),
      as("eve", byName("ada_l", { password: "" })),
      as("eve", byName("ada_l", { password: "wrong" })),
      as("eve", byName("nobody")),
      as("eve", byName("ada_l", { password: "x".repeat(129) })),
      as("eve", byName("ab", { password: "x".repeat(129) })),
      as("eve", byName("ada_l", { callbackURL: EVIL })),
      as("eve", byName("ada_l", { callbackURL: 5 })),
      as("eve", byName("ada_l", { rememberMe: "no" })),
      ...wrongTypes("/sign-in/username", { username: "ada_l", password: PASSWORD }, "username"),
      ...wrongTypes("/sign-in/username", { username: "ada_l", password: PASSWORD }, "password"),
      ...wrongTypes("/is-username-available", { username: "ada_l" }, "username"),
      as("eve", signUp({ email: "eve@example.org", username: "ADA_L" })),
      as("eve", signUp({ email: "eve@example.org", displayUsername: "Ada_L" })),
      as("eve", signUp({ email: "no address", username: "ab" })),
      as("eve", get("/sign-in/username")),
      as("eve", get("/is-username-available")),
    ],
  },
  "user names changed": {
    instance: "named",
    steps: [
      signUp({ username: "Al.Ice" }),
      as("bob", signUp({ ...BOB, username: "bob" })),
      update({ username: "alice2" }),
      whoAmI,
      update({ username: "ALICE2" }),
      update({ displayUsername: "A!" }),
      whoAmI,
      update({ username: "BOB" }),
      update({ username: "bob", displayUsername: "Bob" }),
      update({ username: "Alice3", displayUsername: "Alice the third" }),
      whoAmI,
      as("eve", update({ username: "bob" })),
      as("eve", update({ username: "eve" })),
      as("eve", update({ username: "ab" })),
      as("eve", byName("alice3")),
      as("dan", byName("alice2")),
    ],
  },
  "user names that stay": {
    instance: "fixed",
    steps: [
      signUp({ username: " Ada " }),
      signUp({ username: " Ada ", email: "eve@example.org" }),
      signUp({ username: "ada", email: "eve@example.org" }),
      signUp({ username: "a", email: "eve@example.org" }),
      signUp({ username: "  a  ", email: "eve@example.org" }),
      signUp({ username: "a".repeat(9), email: "eve@example.org" }),
      signUp({ username: "eve", displayUsername: "Eve!", email: "eve@example.org" }),
      signUp({ username: "eve!", email: "eve@example.org" }),
      byName("ada"),
      byName(" ADA ", { callbackURL: "/dash" }),
      byName("ada", { password: "wrong" }),
      byName("ab "),
      byName("a "),
      mail("ada@example.org", { page: "mail.url" }),
      open("${page}"),
      byName("ada"),
      whoAmI,
      update({ username: "lovelace" }),
      update({ username: " ADA " }),
      update({ displayUsername: "A!" }),
      update({ username: "ada", displayUsername: "Countess" }),
      whoAmI,
      as("eve", signUp(BOB)),
      as("eve", signIn({ email: "bob@example.org" })),
    ],
  },
};
