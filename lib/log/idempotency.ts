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
  /** SHA-256 of the idempotency key, and of its publisher unless that is the operator. */
  key: Uint8Array;
  /**
   * SHA-256 of the idempotency key alone, under which the version before stored its
   * record, whoever the publisher was; `null` if that is {@linkcode IdempotencyToken.key}.
   */
  formerKey: Uint8Array | null;
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
  /** Whether it counts for its publisher only; absent in records of the version before. */
  ofPublisher?: boolean;
}

/**
 * Hashes an idempotency key and the events that were sent with it.
 *
 * @param publisher Identifies the publisher, so that others cannot use up its keys;
 *   absent for the operator and for everyone at an open service.
 */
export async function hashIdempotency(
  key: string,
  events: readonly NewEvent[],
  publisher?: string,
): Promise<IdempotencyToken> {
  // A retry may belong to another trace.
  const untraced = events.some(({ traceparent }) => traceparent)
    ? events.map(({ channel, payload }) => ({ channel, payload }))
    : events;
  const content = new Blob(packSegments({ token: 0n, time: 0, first: 0 }, untraced) as BlobPart[]);
  const [plain, own, fingerprint] = await Promise.all([
    digest(new TextEncoder().encode(key)),
    // A key contains no NUL.
    publisher === undefined ? null : digest(new TextEncoder().encode(`${key}\0${publisher}`)),
    digest(new Uint8Array(await content.arrayBuffer())),
  ]);
  return { key: own ?? plain, formerKey: own && plain, fingerprint: fingerprint.toHex() };
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
