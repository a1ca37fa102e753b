// Named checks: each is one line of JSON on the standard output, whether it holds or not.

import { isDeepStrictEqual, inspect } from "node:util";

const results = [];
const stories = [];

// Tell a story: checks in order, under one name. One that breaks off is itself a failure.
export function story(name, tell) {
  stories.push({ name, tell });
}

// Tell every story whose name contains `wanted`, one after another.
export async function tellAll(world, wanted = "") {
  for (const { name, tell } of stories.filter((it) => it.name.includes(wanted))) {
    const checks = checksOf(name, world);
    try {
      await tell(checks, world);
      checks.is("is told to its end", true, true);
    } catch (error) {
      report(`${name}: is told to its end`, false, "no error", error?.stack ?? String(error));
    }
    await world.turnBackTheClock();
  }
  const failed = results.filter((ok) => !ok).length;
  console.log(JSON.stringify({ checks: results.length, failed }));
  return failed;
}

function checksOf(story, { server }) {
  const is = (name, found, expected) =>
    report(`${story}: ${name}`, matches(found, expected), expected, found);
  return {
    is,
    // Where docs and decisions say that Watchword goes its own way; `why` is for the reader.
    differs: (name, found, { watchword, published, why }) => {
      if (!why) throw new Error(`${name}: say why`);
      is(name, found, server === "watchword" ? watchword : published);
    },
    // A refusal as the client hands it to its caller: no data, and an error to the last key.
    refused: (name, { data, error }, status, code, message) => {
      const statusText = error?.statusText;
      const said = code === null ? { message } : { message, code };
      is(name, { data, error }, { data: null, error: { ...said, status, statusText } });
    },
  };
}

function report(name, ok, expected, found) {
  results.push(ok);
  const detail = ok ? {} : { expected: show(expected), found: show(found) };
  console.log(JSON.stringify({ check: name, ok, ...detail }));
}

const show = (value) => (typeof value === "string" ? value : inspect(value, { depth: 6 }));

// --- what a value may be -----------------------------------------------------------------

class Kind {
  constructor(name, test) {
    Object.assign(this, { name, test });
  }

  [inspect.custom]() {
    return `<${this.name}>`;
  }
}

const text = (name, pattern) => new Kind(name, (it) => typeof it === "string" && pattern.test(it));

export const aDate = new Kind("a Date", (it) => it instanceof Date && !Number.isNaN(+it));
export const anId = text("an id", /^[A-Za-z0-9-]{20,36}$/);
export const aToken = text("a token", /^[A-Za-z0-9_-]{32,}$/);
export const aText = text("a text", /./);
export const textLike = (pattern) => text(String(pattern), pattern);
export const within = (seconds, instant) =>
  new Kind(
    `within ${seconds} s of ${instant.toISOString()}`,
    (it) => it instanceof Date && Math.abs(it - instant) <= seconds * 1000,
  );

// The same keys and no others, the same values, and kinds where they are expected.
function matches(found, expected) {
  if (expected instanceof Kind) return expected.test(found);
  if (Array.isArray(expected)) {
    return (
      Array.isArray(found) &&
      found.length === expected.length &&
      expected.every((it, index) => matches(found[index], it))
    );
  }
  if (isPlain(expected)) {
    return (
      isPlain(found) &&
      isDeepStrictEqual(Object.keys(found).sort(), Object.keys(expected).sort()) &&
      Object.keys(expected).every((key) => matches(found[key], expected[key]))
    );
  }
  return isDeepStrictEqual(found, expected);
}

const isPlain = (value) =>
  value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;
