// The published server, to prove the stories themselves: after
// `npm install --no-save better-sqlite3`, `node reference.mjs` in one terminal prints its
// address, and `node tell.mjs <address> published` in another tells them there.

import { createServer } from "node:http";
import { toNodeHandler } from "better-auth/node";

import { PATHS } from "./paths.mjs";
import { newInstance, passSeconds, turnBackTheClock } from "./published.mjs";

const mails = [];
const readers = [];

function deliver(mail) {
  mails.push(mail);
  readers.splice(0).forEach((look) => look());
}

async function nextMail(to) {
  for (;;) {
    const index = mails.findIndex((it) => it.to === to);
    if (index >= 0) return mails.splice(index, 1)[0];
    await new Promise((resolve) => readers.push(resolve));
  }
}

const server = createServer();
await new Promise((resolve) => server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", resolve));
const baseURL = `http://localhost:${server.address().port}`;

const handlers = [];
for (const [name, basePath] of Object.entries(PATHS)) {
  const auth = await newInstance(name, { baseURL, basePath, deliver });
  handlers.push([basePath, toNodeHandler(auth)]);
}

server.on("request", async (request, response) => {
  const url = new URL(request.url, baseURL);
  const [, handler] = handlers.find(([path]) => url.pathname.startsWith(`${path}/`)) ?? [];
  if (handler) {
    request.headers["x-forwarded-for"] = "127.0.0.1"; // it takes no other word for the address
    return handler(request, response);
  }
  const to = url.searchParams.get("to");
  let answer = null;
  if (url.pathname === "/mail") answer = await nextMail(to);
  if (url.pathname === "/unread") answer = mails.filter((it) => it.to === to).length;
  if (url.pathname === "/clock") {
    if (request.method === "DELETE") turnBackTheClock();
    else passSeconds(Number(url.searchParams.get("seconds")));
  }
  response.setHeader("content-type", "application/json");
  return response.end(JSON.stringify(answer));
});
console.log(baseURL);
