// Record what the published server answers: after `npm install --no-save better-sqlite3`,
// `node record.mjs` writes ../recorded/*.json anew.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { toNodeHandler } from "better-auth/node";

import { CONVERSATIONS } from "./conversations.mjs";
import { PATHS } from "./paths.mjs";
import { newInstance, passSeconds, turnBackTheClock } from "./published.mjs";

const LOCAL = "http://localhost:8000";
const RECORDED = new URL("../recorded/", import.meta.url);
// The others are of the transport, or of a moment.
const HEADERS = ["content-type", "location", "cache-control", "pragma", "x-retry-after"];

const { version } = JSON.parse(
  await readFile(new URL("./node_modules/better-auth/package.json", import.meta.url)),
);
await mkdir(RECORDED, { recursive: true });
for (const [name, conversation] of Object.entries(CONVERSATIONS)) {
  const steps = await record(conversation);
  const { instance, origin = LOCAL } = conversation;
  const head = { server: `better-auth ${version}`, origin, basePath: PATHS[instance] };
  const lines = steps.map((it) => JSON.stringify(it)).join(",\n");
  const file = new URL(`${name.replaceAll(" ", "-")}.json`, RECORDED);
  await writeFile(file, `${JSON.stringify(head).slice(0, -1)},"steps":[\n${lines}\n]}\n`);
  console.log(`${name}: ${steps.filter((it) => it.answer).length} exchanges`);
}

async function record({ instance, steps, origin = LOCAL }) {
  turnBackTheClock();
  const mails = [];
  const deliver = (mail) => mails.push(mail);
  const auth = await newInstance(instance, {
    baseURL: origin,
    basePath: PATHS[instance],
    deliver,
  });
  const server = createServer(toNodeHandler(auth));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const basePath = PATHS[instance];
  const port = server.address().port;
  const known = {};
  const browsers = {};
  const done = [];
  for (const step of steps) {
    if (step.pass) passSeconds(step.pass);
    else if (step.mail) {
      await new Promise((resolve) => setTimeout(resolve, 20)); // it is sent beside the answer
      const index = mails.findIndex((it) => it.to === fill(step.mail, known));
      if (index < 0) throw new Error(`no mail to ${step.mail}`);
      keep(step.keep, { mail: mails.splice(index, 1)[0] }, known);
    } else {
      const cookies = (browsers[step.as ?? "ada"] ??= new Map());
      done.push({
        ...step,
        answer: await exchange(step, { origin, basePath, port, known, cookies }),
      });
      continue;
    }
    done.push(step);
  }
  server.close();
  return done;
}

async function exchange(step, { origin, basePath, port, known, cookies }) {
  const [method, target] = fill(step.call, known).split(/ (.*)/s);
  const path = target.startsWith(origin) ? target.slice(origin.length) : basePath + target;
  const body = fill(step.raw ?? (step.body === undefined ? "" : JSON.stringify(step.body)), known);
  const headers = {
    host: new URL(origin).host,
    "x-forwarded-for": "127.0.0.1", // it takes no other word for the address
    "user-agent": "wire",
    origin: method === "GET" ? null : origin,
    "content-type": step.body === undefined ? null : "application/json",
    "content-length": method === "GET" ? null : Buffer.byteLength(body),
    cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") || null,
    ...step.headers,
  };
  const answer = await send({ port, method, path, headers: withoutNulls(headers) }, body);
  const { text } = answer;
  const type = answer.headers["content-type"] ?? "";
  const json = text && type.includes("json") ? JSON.parse(text) : null;
  keep(step.keep, { body: json }, known);
  const cookiesSet = answer.headers["set-cookie"] ?? [];
  cookiesSet.forEach((cookie) => keepCookie(cookies, cookie));
  return {
    status: answer.status,
    headers: Object.fromEntries(
      HEADERS.filter((it) => it in answer.headers).map((it) => [
        it,
        withoutSecrets(answer.headers[it]),
      ]),
    ),
    cookies: cookiesSet.map((it) => it.replace(/^([^=]+)=[^;]+?\.[^;]+;/, "$1=<signed>;")),
    ...(json === null && text !== "null"
      ? { text: type.includes("html") ? "<page>" : text }
      : { json: kinds(json) }),
  };
}

// By hand: node's own fetch adds headers, and keeps some from being set.
function send(options, body) {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: "127.0.0.1", agent: false, ...options }, async (answer) => {
      const chunks = await answer.toArray();
      const text = Buffer.concat(chunks).toString();
      resolve({ status: answer.statusCode, headers: answer.headers, text });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function withoutNulls(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== null));
}

function keepCookie(cookies, cookie) {
  const [pair, ...attributes] = cookie.split("; ");
  const [name, value] = pair.split(/=(.*)/s);
  if (attributes.includes("Max-Age=0")) cookies.delete(name);
  else cookies.set(name, value);
}

// What later steps need: `{ token: "body.token", page: "location" }`.
function keep(wanted, answer, known) {
  for (const [name, path] of Object.entries(wanted ?? {})) {
    known[name] = path.split(".").reduce((value, key) => value[key], answer);
  }
}

function fill(text, known) {
  return text.replace(/\$\{(\w+)\}/g, (_, name) => {
    if (!(name in known)) throw new Error(`nothing is kept as ${name}`);
    return known[name];
  });
}

// What differs from one time to the next, by its kind; the rest as it is.
function kinds(value, key = "") {
  if (Array.isArray(value)) return value.map((it) => kinds(it, key));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, kinds(it, key)]));
  }
  if (typeof value !== "string") return value;
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return "<instant>";
  if (["id", "userId", "accountId"].includes(key)) return "<id>";
  if (key === "token") return "<token>";
  return value;
}

function withoutSecrets(header) {
  return header.replace(/token=[A-Za-z0-9]{20,}/, "token=<token>");
}
