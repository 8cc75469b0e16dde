/**
 * Idempotency keys: a publish that is repeated with its key is stored once, and
 * receives the answer of the first one.
 *
 * @see {@link https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/}
 * @module
 */

import { endEntry, type NewEvent } from "../protocol/mod.ts";
import { packSegments } from "./segment.ts";

/** Lifetime of an idempotency key, in milliseconds. */
export const KEY_LIFETIME_MS: number = 24 * 60 * 60 * 1000;

/**
 * Fingerprint of a streaming append, which is sent again with whatever follows what
 * stands. No request of another kind has it.
 */
export const APPEND_FINGERPRINT = "append";

/** Idempotency token of a publish: hashes of its key and its events. */
export interface IdempotencyToken {
  /** SHA-256 of the idempotency key, and of its publisher unless that is the operator. */
  key: Uint8Array;
  /**
   * SHA-256 of the idempotency key alone, under which the version before stored its
   * record, whoever the publisher was; `null` if that is {@linkcode IdempotencyToken.key},
   * and for a streaming append, which it did not have.
   */
  formerKey: Uint8Array | null;
  /**
   * SHA-256 of the events, in hexadecimal: the same for a retry, another for other events;
   * {@linkcode APPEND_FINGERPRINT} for a streaming append.
   */
  fingerprint: string;
}

/** Streaming append of which a request is a part. */
export interface AppendPart {
  /** Identifies the connection: another one that goes on with the append fences it off. */
  owner: string;
  /** Number of events of the append before those of the request. */
  before: number;
  /** Whether the connection has stored none so far, so that it may take the append over. */
  isFirst: boolean;
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
  /** Number of events; of a streaming append, all those so far. */
  count: number;
  /** Sequence of the entry that ended the run with them; absent if none did. */
  end?: number;
  /** Sequence of the last event of a streaming append, and … */
  last?: number;
  /** … the connection that stored it, as {@linkcode AppendPart.owner}. */
  owner?: string;
  /** Whether it counts for its publisher only; absent in records of the version before. */
  ofPublisher?: boolean;
}

/**
 * Hashes an idempotency key and the events that were sent with it.
 *
 * @param events The events; `null` for a streaming append.
 * @param end Whether they end the run.
 * @param publisher Identifies the publisher, so that others cannot use up its keys;
 *   absent for the operator and for everyone at an open service.
 */
export async function hashIdempotency(
  key: string,
  events: readonly NewEvent[] | null,
  { end = false, publisher }: { end?: boolean | undefined; publisher?: string | undefined } = {},
): Promise<IdempotencyToken> {
  const [plain, own, fingerprint] = await Promise.all([
    digest(new TextEncoder().encode(key)),
    // A key contains no NUL.
    publisher === undefined ? null : digest(new TextEncoder().encode(`${key}\0${publisher}`)),
    events === null ? APPEND_FINGERPRINT : fingerprintOf(events, end),
  ]);
  const formerKey = events === null ? null : own && plain;
  return { key: own ?? plain, formerKey, fingerprint };
}

async function fingerprintOf(events: readonly NewEvent[], end: boolean): Promise<string> {
  // A retry may belong to another trace.
  const untraced = events.some(({ traceparent }) => traceparent)
    ? events.map(({ channel, payload }) => ({ channel, payload }))
    : events;
  const hashed = end ? [...untraced, endEntry(0)] : untraced;
  const content = new Blob(packSegments({ token: 0n, time: 0, first: 0 }, hashed) as BlobPart[]);
  return (await digest(new Uint8Array(await content.arrayBuffer()))).toHex();
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
