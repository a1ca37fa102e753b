// What the client finds in a browser and not in node: a window, and cookies that are kept.

import { createAuthClient } from "better-auth/client";

// A page: the client follows `redirect: true` by setting its address.
class Page extends EventTarget {
  location = { href: "" };
}

globalThis.window = new Page();
globalThis.document = new EventTarget();
globalThis.localStorage = { setItem() {} };

// Where the page went since it was last asked.
export function pageWentTo() {
  const { href } = window.location;
  window.location.href = "";
  return href;
}

// A browser of its own: cookies, and the last answer as it came over the wire.
export class Browser {
  cookies = new Map();
  exchanges = [];
  #listeners = [];

  constructor(origin) {
    this.origin = origin;
  }

  // node's own fetch keeps no cookies and names no origin, and sends `sec-fetch-mode: cors`.
  fetch = async (url, { headers, ...options } = {}) => {
    const sent = new Headers(headers);
    const method = options.method ?? "GET";
    if (this.cookies.size && options.credentials !== "omit") sent.set("cookie", this.cookieHeader);
    if (method !== "GET" && !sent.has("origin")) sent.set("origin", this.origin);
    const answer = await fetch(url, { ...options, headers: sent, redirect: "manual" });
    answer.headers.getSetCookie().forEach((it) => this.keep(it));
    const path = new URL(url).pathname;
    this.exchanges.push({ method, path, status: answer.status, headers: answer.headers });
    this.#listeners.splice(0).forEach((tell) => tell());
    return answer;
  };

  // Open a link as from a mail: a navigation names no origin.
  async open(url) {
    const answer = await this.fetch(url, { headers: { "sec-fetch-mode": "navigate" } });
    const body = await answer.text();
    return { status: answer.status, location: answer.headers.get("location"), body };
  }

  get cookieHeader() {
    return [...this.cookies].map(([name, { value }]) => `${name}=${value}`).join("; ");
  }

  // What the last answer did to cookies: name to its attributes, without the value.
  get lastCookies() {
    return Object.fromEntries(
      this.exchanges
        .at(-1)
        .headers.getSetCookie()
        .map((cookie) => {
          const [pair, ...attributes] = cookie.split("; ");
          const [name, value] = pair.split("=");
          return [name.replace("better-auth.", ""), [value ? "set" : "cleared", ...attributes]];
        }),
    );
  }

  // The paths that were called since, as "POST /sign-out".
  callsSince(count) {
    return this.exchanges.slice(count).map(({ method, path }) => `${method} ${path}`);
  }

  // Wait until something is called; false if it is not, after a while.
  async isCalled(call, count, { patience = 10_000 } = {}) {
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      this.#listeners.splice(0).forEach((tell) => tell());
    }, patience);
    while (!this.callsSince(count).includes(call) && !isLate) {
      await new Promise((resolve) => this.#listeners.push(resolve));
    }
    clearTimeout(late);
    return !isLate;
  }

  keep(cookie) {
    const [pair, ...attributes] = cookie.split("; ");
    const [name, value] = pair.split(/=(.*)/s);
    if (attributes.includes("Max-Age=0")) this.cookies.delete(name);
    else this.cookies.set(name, { value, attributes });
  }

  client(basePath, options = {}) {
    const { create = createAuthClient, ...others } = options;
    return create({
      baseURL: this.origin,
      basePath,
      fetchOptions: { customFetchImpl: this.fetch },
      ...others,
    });
  }
}
