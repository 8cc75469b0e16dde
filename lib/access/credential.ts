/**
 * Credentials: what verifies the tokens of clients. Tickets remember a fingerprint
 * of theirs, and end with it.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Credential of a service without secrets, which nobody needs a token for. */
export const NO_CREDENTIAL = "none";

/**
 * Returns the fingerprint of a publish token, or of the secret that signs JSON Web
 * Tokens. It is stored, and differs from the hash by which a token is counted.
 */
export function fingerprint(kind: "token" | "secret", credential: string): string {
  const hash = createHash("sha256").update(`runnel ${kind} ${credential}`);
  return `${kind}:${hash.digest("hex")}`;
}

/** Whether a fingerprint is that of a publish token, which is the operator's own. */
export function isPublishToken(credential: string): boolean {
  return credential.startsWith("token:");
}

/** Returns the fingerprint of a public key, by its thumbprint. */
export function publicKey(thumbprint: string): string {
  return `key:${thumbprint}`;
}

/** Returns the thumbprint in the fingerprint of a public key; `null` for another credential. */
export function publicKeyOf(credential: string): string | null {
  return /^key:(.+)$/.exec(credential)?.[1] ?? null;
}
