/**
 * Idempotency keys: a publish that is repeated with its key is stored once, and
 * receives the answer of the first one.
 *
 * @see {@link https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/}
 * @module
 */

import type { NewEvent } from "../protocol/mod.ts";
import { packSegments } from "./segment.ts";

/** Lifetime of an idempotency key, in milliseconds. */
export const KEY_LIFETIME_MS: number = 24 * 60 * 60 * 1000;

/** Idempotency token of a publish: hashes of its key and its events. */
export interface IdempotencyToken {
  /** SHA-256 of the idempotency key. */
  key: Uint8Array;
  /** SHA-256 of the events, in hexadecimal: the same for a retry, another for other events. */
  fingerprint: string;
}

/** Record of an idempotency key, stored in the same commit as the events. */
export interface IdempotencyRecord {
  /** End of the key's lifetime, in milliseconds since the Unix epoch. */
  until: number;
  /** The {@linkcode IdempotencyToken.fingerprint} of the request that was stored. */
  fingerprint: string;
  /** Epoch of the events' IDs. */
  epoch: string;
  /** Sequence of the first event. */
  first: number;
  /** Number of events. */
  count: number;
}

/** Hashes an idempotency key and the events that were sent with it. */
export async function hashIdempotency(
  key: string,
  events: readonly NewEvent[],
): Promise<IdempotencyToken> {
  const content = new Blob(packSegments({ token: 0n, time: 0, first: 0 }, events) as BlobPart[]);
  const [keyHash, contentHash] = await Promise.all([
    crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)),
    crypto.subtle.digest("SHA-256", await content.arrayBuffer()),
  ]);
  return { key: new Uint8Array(keyHash), fingerprint: new Uint8Array(contentHash).toHex() };
}
