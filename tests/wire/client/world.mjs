// A server to tell stories about: its instances, its mail and its clock.

import { Browser } from "./browser.mjs";
import { PATHS } from "./paths.mjs";

export const PASSWORD = "difference-engine";

let visitors = 0;

export class World {
  constructor(origin, server) {
    Object.assign(this, { origin, server });
  }

  // Somebody in a browser that was never here, with an address that nobody has used.
  visitor(instance = "open", options = {}) {
    const browser = new Browser(this.origin);
    const address = `ada${++visitors}@example.org`;
    const client = browser.client(PATHS[instance], options);
    const person = { name: "Ada", email: address, password: PASSWORD };
    return { browser, client, email: address, person, path: PATHS[instance] };
  }

  // The same, signed up; on an instance where that signs in, signed in.
  async member(instance = "open", options = {}, fields = {}) {
    const visitor = this.visitor(instance, options);
    const { data, error } = await visitor.client.signUp.email({ ...visitor.person, ...fields });
    if (error) throw new Error(`sign-up failed: ${JSON.stringify(error)}`);
    return { ...visitor, user: data.user, token: data.token };
  }

  // Another browser of the same person, signed in.
  async elsewhere({ person, path }, signIn = {}) {
    const browser = new Browser(this.origin);
    const client = browser.client(path);
    const { email, password } = person;
    const { data, error } = await client.signIn.email({ email, password, ...signIn });
    if (error) throw new Error(`sign-in failed: ${JSON.stringify(error)}`);
    return { browser, client, token: data.token };
  }

  // The next mail to an address, as soon as it is there; each is read once.
  async mail(to) {
    const answer = await fetch(`${this.origin}/mail?to=${encodeURIComponent(to)}`);
    if (answer.status !== 200) throw new Error(`no mail to ${to}`);
    return answer.json();
  }

  // How many mails to an address nobody has read.
  async unread(to) {
    const answer = await fetch(`${this.origin}/unread?to=${encodeURIComponent(to)}`);
    return answer.json();
  }

  // Let time pass on the server; the client's clock stays.
  async pass({ seconds = 0, minutes = 0, hours = 0, days = 0 }) {
    const all = seconds + 60 * (minutes + 60 * (hours + 24 * days));
    await fetch(`${this.origin}/clock?seconds=${all}`, { method: "POST" });
  }

  async turnBackTheClock() {
    await fetch(`${this.origin}/clock`, { method: "DELETE" });
  }
}

// Wait until a store holds what is waited for; what it holds then, or after the time is up.
export function until(store, isSo, { patience = 10_000 } = {}) {
  return new Promise((resolve) => {
    const late = setTimeout(() => finish(store.get()), patience);
    const stop = store.subscribe((value) => {
      if (isSo(value)) queueMicrotask(() => finish(value));
    });
    function finish(value) {
      clearTimeout(late);
      stop();
      resolve(value);
    }
  });
}

export const tokenOf = (url) => new URL(url).searchParams.get("token");
