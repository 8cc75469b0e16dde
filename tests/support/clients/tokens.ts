/**
 * Secrets and tokens of tests.
 *
 * @module
 */

import { SignJWT } from "jose";

/** A token for all publishers. */
export const PUBLISH_TOKEN = "a-token-of-a-publisher";

/** What JSON Web Tokens are signed with. */
export const SECRET = "a secret that has 32 characters at least";

/** The settings of a service that takes both, and lets nobody listen without one. */
export const TOKEN_SETTINGS = {
  RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN,
  RUNNEL_TOKEN_SECRET: SECRET,
  RUNNEL_SUBSCRIBE: "token",
} as const;

/** What signs: a secret or a private key. */
export type SigningKey = Parameters<SignJWT["sign"]>[0];

/** How a token is signed, if not as {@linkcode SECRET} signs. */
export interface Signing {
  key?: SigningKey;
  alg?: string;
  kid?: string;
}

/** A JSON Web Token with some claims. */
export async function sign(
  claims: Record<string, unknown>,
  { key = new TextEncoder().encode(SECRET), alg = "HS256", kid }: Signing = {},
): Promise<string> {
  return await new SignJWT(claims)
    .setProtectedHeader({ alg, ...kid !== undefined && { kid } })
    .sign(key);
}

/** A JSON Web Token that grants something, until a time in milliseconds if one is given. */
export async function mint(runnel: unknown, endsAt?: number): Promise<string> {
  return await sign({ runnel, ...endsAt !== undefined && { exp: endsAt / 1000 } });
}

/** The header that bears a token. */
export function bearerHeader(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}
