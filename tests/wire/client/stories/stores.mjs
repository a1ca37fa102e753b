// Stores of the client: who shows them is told of every change without asking.

import { act, create } from "react-test-renderer";
import { createElement } from "react";
import { createAuthClient as createReactClient } from "better-auth/react";
import { createAuthClient as createSvelteClient } from "better-auth/svelte";

import { aDate, story } from "../checks.mjs";
import { PASSWORD, until } from "../world.mjs";

globalThis.IS_REACT_ACT_ENVIRONMENT = true;

const settled = ({ isPending, isRefetching }) => !isPending && !isRefetching;
const nameIs = (name) => (state) => settled(state) && state.data?.user.name === name;
const isNobody = (state) => settled(state) && state.data === null;

// Keep a store in use, as a page does that shows it.
const show = (store) => store.subscribe(() => {});

story("the session store", async (it, world) => {
  const { client, person, email } = world.visitor();
  const store = client.useSession;
  const hide = show(store);

  it.is("begins with asking", [store.get().isPending, store.get().data], [true, null]);
  const nobody = await until(store, settled);
  it.is("nobody is signed in", [nobody.data, nobody.error], [null, null]);

  await client.signUp.email(person);
  const somebody = await until(store, nameIs("Ada"));
  it.is("signing up is seen", somebody.data?.user.email, email);
  it.is("with dates", somebody.data?.session.expiresAt, aDate);

  await client.updateUser({ name: "Ada L." });
  it.is("a change is seen", (await until(store, nameIs("Ada L."))).data?.user.name, "Ada L.");

  await client.updateSession({ theme: "dark" });
  const dark = await until(store, (it) => it.data?.session.theme === "dark");
  it.is("one of the session too", dark.data?.session.theme, "dark");

  await client.signOut();
  it.is("signing out is seen", (await until(store, isNobody)).data, null);

  await client.signIn.email({ email, password: PASSWORD });
  const back = await until(store, nameIs("Ada L."));
  it.is("signing in is seen", back.data?.user.email, email);

  await client.changePassword({
    currentPassword: PASSWORD,
    newPassword: "analytical-engine",
    revokeOtherSessions: true,
  });
  const replaced = await until(
    store,
    (it) => settled(it) && it.data?.session.id !== back.data?.session.id,
  );
  it.is("a session in another's place is seen", replaced.data?.user.email, email);

  await client.deleteUser({ password: "analytical-engine" });
  it.is("the end is seen", (await until(store, isNobody)).data, null);
  hide();
});

story("the session store and other calls", async (it, world) => {
  const { browser, email, path } = await world.member();
  const client = browser.client(path); // another page: the sign-up's signal is not for it
  const hide = show(client.useSession);
  const asksAgain = async (name, call) => {
    await until(client.useSession, settled);
    const before = browser.exchanges.length;
    await call();
    it.is(
      `${name} makes it ask again`,
      await browser.isCalled(`GET ${path}/get-session`, before),
      true,
    );
  };

  await asksAgain("changing the address", () => client.changeEmail({ newEmail: `new.${email}` }));
  await asksAgain("ending others", () => client.revokeOtherSessions());
  await asksAgain("ending one", () => client.revokeSession({ token: "unknown" }));
  await asksAgain("refetch()", () => client.useSession.get().refetch());
  await asksAgain("notify", async () => client.$store.notify("$sessionSignal"));
  await asksAgain("ending all", () => client.revokeSessions());
  it.is("nobody is left", (await until(client.useSession, isNobody)).data, null);
  hide();
});

story("the session store renews what is due", async (it, world) => {
  const { browser, user, path } = await world.member("deferred");
  const client = browser.client(path); // another page: the sign-up's signal is not for it
  const before = (await client.getSession()).data.session.expiresAt;
  await world.pass({ days: 2 });
  const count = browser.exchanges.length;

  const hide = show(client.useSession);
  const { data } = await until(client.useSession, settled);
  it.is("it reads, then asks for the renewal", browser.callsSince(count), [
    "GET /deferred/auth/get-session",
    "POST /deferred/auth/get-session",
  ]);
  it.is("and holds the answer", data?.user.id, user.id);
  it.is("which ends later", data?.session.expiresAt > before, true);
  hide();
});

story("the session store and an error", async (it, world) => {
  const { client } = world.visitor("limited");
  const hide = show(client.useSession);
  await until(client.useSession, settled);

  for (let call = 0; call < 5; call++) await client.getSession();
  await client.useSession.get().refetch();
  const { data, error, isPending } = client.useSession.get();
  it.is("holds it", [data, error?.status, isPending], [null, 429, false]);
  hide();
});

story("react", async (it, world) => {
  const { client, person } = world.visitor("open", { create: createReactClient });
  const store = client.$store.atoms.session;
  const Greeting = () => {
    const { data, isPending } = client.useSession();
    return isPending ? "…" : `Hello ${data?.user.name ?? "stranger"}`;
  };

  let page;
  await act(() => {
    page = create(createElement(Greeting));
  });
  it.is("waits at first", page.toJSON(), "…");
  await act(() => until(store, settled));
  it.is("shows that nobody is signed in", page.toJSON(), "Hello stranger");
  await act(async () => {
    await client.signUp.email(person);
    await until(store, nameIs("Ada"));
  });
  it.is("shows who has signed up", page.toJSON(), "Hello Ada");
  await act(async () => {
    await client.updateUser({ name: "Ada L." });
    await until(store, nameIs("Ada L."));
  });
  it.is("shows the new name", page.toJSON(), "Hello Ada L.");
  await act(async () => {
    await client.signOut();
    await until(store, isNobody);
  });
  it.is("shows that nobody is left", page.toJSON(), "Hello stranger");
  await act(() => page.unmount());
});

story("svelte", async (it, world) => {
  const { client, person, email } = world.visitor("open", { create: createSvelteClient });
  const store = client.useSession();
  const hide = show(store);

  await until(store, settled);
  await client.signUp.email(person);
  it.is(
    "its store sees who has signed up",
    (await until(store, nameIs("Ada"))).data?.user.email,
    email,
  );
  await client.signOut();
  it.is("and that nobody is left", (await until(store, isNobody)).data, null);
  hide();
});
