// What is said to the server, step by step: requests, mail that is read, time that passes.

export const PASSWORD = "difference-engine";
export const NEW = "analytical-engine";
export const EMAIL = "ada@example.org";
export const ADA = { name: "Ada", email: EMAIL, password: PASSWORD };
export const BOB = { name: "Bob", email: "bob@example.org", password: PASSWORD };
export const SIGN_IN = { email: EMAIL, password: PASSWORD };
export const EVIL = "https://evil.example";

export const post = (path, body, more = {}) => ({ call: `POST ${path}`, body, ...more });
export const get = (path, more = {}) => ({ call: `GET ${path}`, ...more });
export const open = (url) => ({ call: `GET ${url}` });
export const mail = (to, keep) => ({ mail: to, keep });
export const as = (who, step) => ({ as: who, ...step });
export const from = (headers) => ({ headers });
export const pass = ({ days = 0, hours = 0, seconds = 0 }) => ({
  pass: seconds + 3600 * hours + 86_400 * days,
});
export const signUp = (changes) => post("/sign-up/email", { ...ADA, ...changes });
export const signIn = (changes) => post("/sign-in/email", { ...SIGN_IN, ...changes });
export const whoAmI = get("/get-session");
const FORM = { "content-type": "application/x-www-form-urlencoded" };
export const form = (path, raw, headers = {}) => ({
  call: `POST ${path}`,
  raw,
  headers: { ...FORM, ...headers },
});

// Values of the wrong type for a text, each of them refused in its own words.
const NOT_TEXTS = [null, 5, true, [], {}];

// The same call with every body that is wrong for one key.
export const wrongTypes = (path, body, key) => [
  ...NOT_TEXTS.map((it) => post(path, { ...body, [key]: it })),
  post(path, { ...body, [key]: undefined }),
];
