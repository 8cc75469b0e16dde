/**
 * Idempotency keys: a publish that is repeated with its key is stored once, and
 * answered as the first time.
 *
 * @see {@link https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/}
 * @module
 */

import type { NewEvent } from "../protocol/mod.ts";
import { packSegments } from "./segment.ts";

/** Time for which a key is remembered, in milliseconds. */
export const KEY_LIFETIME_MS: number = 24 * 60 * 60 * 1000;

/** Token of a publish that is to be stored once. */
export interface IdempotencyToken {
  /** SHA-256 of the idempotency key. */
  key: Uint8Array;
  /** SHA-256 of the events, in hexadecimal: tells a retry from another request. */
  fingerprint: string;
}

/** Record that is stored with the events of a publish that had a key. */
export interface IdempotencyRecord {
  /** End of the key's lifetime, in milliseconds since the Unix epoch. */
  until: number;
  /** The {@linkcode IdempotencyToken.fingerprint} of the request that was accepted. */
  fingerprint: string;
  /** The epoch of the events' IDs. */
  epoch: string;
  /** The sequence of the first event. */
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
