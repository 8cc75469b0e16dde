/**
 * The secrets of tickets, and the hashes by which the store knows them.
 *
 * @module
 */

/**
 * Prefix of the secret of a ticket for several pipelines. Other secrets, which are base64url,
 * have no period, so that neither can be taken for the other.
 */
const SEVERAL = "s.";

/** Number of random bytes of a secret. */
const SECRET_BYTES = 16;

/**
 * Creates the secret of a ticket.
 *
 * @param several Whether it is for several pipelines.
 */
export function createSecret(several: boolean): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return (several ? SEVERAL : "") + bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * Returns the hash by which the store has a ticket, or what it is for one of several
 * pipelines.
 *
 * @param secret Secret in a URL, unchecked.
 * @param pipeline ID of the pipeline. It has no space, so that no two of a secret and a
 *   pipeline are the same text.
 */
export async function ticketHash(secret: string, pipeline: string): Promise<string> {
  const text = secret.startsWith(SEVERAL) ? `${secret} ${pipeline}` : secret;
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(bytes).toHex();
}
