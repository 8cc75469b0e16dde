/**
 * What makes a retried publish the same publish: the idempotency key and the
 * record of what was answered to it.
 *
 * @see {@link https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/}
 * @module
 */

import type { NewEvent } from "../protocol/mod.ts";
import { packSegments } from "./segment.ts";

/** How long a key is remembered, in milliseconds. */
export const KEY_LIFETIME_MS: number = 24 * 60 * 60 * 1000;

/** A publish that is to happen once. */
export interface Once {
  /** SHA-256 of the idempotency key. */
  key: Uint8Array;
  /** SHA-256 of the events, in hexadecimal: tells a retry from another request. */
  fingerprint: string;
}

/** What is stored beside the events of a publish that is to happen once. */
export interface OnceRecord {
  /** Until when the key counts, in milliseconds since the Unix epoch. */
  until: number;
  /** The {@linkcode Once.fingerprint} of the request that was accepted. */
  fingerprint: string;
  /** The epoch of the events' IDs. */
  epoch: string;
  /** The sequence of the first event. */
  first: number;
  /** How many events there were. */
  count: number;
}

/**
 * Digests a key and the events that it stands for.
 *
 * @param key The idempotency key.
 * @param events What was sent with it.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const event = { channel: "events", payload: new TextEncoder().encode("1") };
 * const [one, two] = [await digestOnce("k", [event]), await digestOnce("k", [event])];
 * equal(one.fingerprint, two.fingerprint);
 * ```
 */
export async function digestOnce(key: string, events: readonly NewEvent[]): Promise<Once> {
  const content = new Blob(packSegments({ token: 0n, time: 0, first: 0 }, events) as BlobPart[]);
  const [keyHash, contentHash] = await Promise.all([
    crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)),
    crypto.subtle.digest("SHA-256", await content.arrayBuffer()),
  ]);
  return { key: new Uint8Array(keyHash), fingerprint: new Uint8Array(contentHash).toHex() };
}
