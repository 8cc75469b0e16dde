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

/** Creates a JSON Web Token with claims. */
export async function sign(
  claims: Record<string, unknown>,
  { key = new TextEncoder().encode(SECRET), alg = "HS256", kid }: Signing = {},
): Promise<string> {
  return await new SignJWT(claims)
    .setProtectedHeader({ alg, ...kid !== undefined && { kid } })
    .sign(key);
}

/** Creates a JSON Web Token with a grant, which expires at a time in milliseconds if given. */
export async function mint(runnel: unknown, endsAt?: number): Promise<string> {
  return await sign({ runnel, ...endsAt !== undefined && { exp: endsAt / 1000 } });
}

/** Returns the header with a bearer token. */
export function bearerHeader(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}
