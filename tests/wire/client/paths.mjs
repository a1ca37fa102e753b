// Where the instances are, each with its own users and settings: conftest.py and published.mjs
// say which.

export const PATHS = {
  open: "/api/auth",
  strict: "/strict/auth",
  quiet: "/quiet/auth",
  bare: "/bare/auth",
  closed: "/closed/auth",
  deferred: "/deferred/auth",
  limited: "/limited/auth",
  prompt: "/prompt/auth",
  paths: "/paths/auth",
  shared: "/shared/auth",
  named: "/named/auth",
  fixed: "/fixed/auth",
  cached: "/cached/auth",
  cachedSigned: "/cached-jwt/auth",
  cachedSealed: "/cached-jwe/auth",
};
