// What users and sessions look like to the client: to the last key, with revived dates.

import { aDate, anId, aText } from "../checks.mjs";

export const userLike = ({ email, ...others }) => ({
  id: anId,
  name: "Ada",
  email,
  emailVerified: false,
  image: null,
  createdAt: aDate,
  updatedAt: aDate,
  ...others,
});

// The instance `open` has further fields.
export const FIELDS = { plan: null, role: "member", rank: null };
export const openUserLike = (changes) => userLike({ ...FIELDS, ...changes });

export const sessionLike = (others = {}) => ({
  id: anId,
  token: aText,
  userId: anId,
  expiresAt: aDate,
  createdAt: aDate,
  updatedAt: aDate,
  ipAddress: "127.0.0.1",
  userAgent: "node",
  ...others,
});

export const openSessionLike = (others) => sessionLike({ theme: null, level: null, ...others });
