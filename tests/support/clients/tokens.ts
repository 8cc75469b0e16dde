/**
 * Secrets and tokens of tests.
 *
 * @module
 */

import { SignJWT } from "jose";

/** A token for all publishers. */
export const PUBLISH_TOKEN = "a-token-of-a-publisher";

/** Secret that signs JSON Web Tokens. */
export const SECRET = "a secret that has 32 characters at least";

/** Settings of a service that accepts both, and requires a token of subscribers. */
export const TOKEN_SETTINGS = {
  RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN,
  RUNNEL_TOKEN_SECRET: SECRET,
  RUNNEL_SUBSCRIBE: "token",
} as const;

/** Signing key: a secret or a private key. */
export type SigningKey = Parameters<SignJWT["sign"]>[0];

/** Signing options of a token. The default key is {@linkcode SECRET}. */
export interface Signing {
  key?: SigningKey;
  alg?: string;
  kid?: string;
}

/** Time for which a token is valid beyond its expiry, in seconds. */
export const LEEWAY_SECONDS = 30;

/** Expiry of a token that a test does not let expire, in seconds: the year 2100. */
const FAR = 4_102_444_800;

/** Creates a JSON Web Token with claims. It does not expire during a test unless they say so. */
export async function sign(
  claims: Record<string, unknown>,
  { key = new TextEncoder().encode(SECRET), alg = "HS256", kid }: Signing = {},
): Promise<string> {
  return await new SignJWT({ exp: FAR, ...claims })
    .setProtectedHeader({ alg, ...kid !== undefined && { kid } })
    .sign(key);
}

/** Creates a JSON Web Token with a grant, which ends at a time in milliseconds if given. */
export async function mint(runnel: unknown, endsAt?: number): Promise<string> {
  const exp = endsAt === undefined ? FAR : endsAt / 1000 - LEEWAY_SECONDS;
  return await sign({ runnel, exp });
}

/** Returns the header with a bearer token. */
export function bearerHeader(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}
