/**
 * Reads how much of a streaming append stands, for a connection that goes on with it.
 *
 * @module
 */

import type { Clock } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { Head } from "./head.ts";
import { hashIdempotency, type IdempotencyRecord } from "./idempotency.ts";
import { headKey, idempotencyKey } from "./keys.ts";
import { keyReused } from "./publish_errors.ts";

/** The part of a streaming append that stands. */
export interface StandingAppend {
  /** Number of its events. */
  count: number;
  /** Position of the last of them. */
  last: Position;
  /** Sequence of the entry with which it ended the run; absent if it did not. */
  end?: number;
}

/**
 * Reads the part of an append that stands.
 *
 * @returns `null` if nothing of it is on record.
 * @throws {RunnelError} `key-reused` if the key is that of another kind of request,
 *   `log-unavailable` if the log does not answer.
 */
export async function readAppend(
  pipeline: string,
  { key, publisher }: { key: string; publisher: string | undefined },
  { kv, runtime: { clock } }: { kv: KvConnection; runtime: { clock: Clock } },
): Promise<StandingAppend | null> {
  const token = await hashIdempotency(key, null, { publisher });
  // Both in one snapshot: a deletion deletes the keys with the events, some of them later.
  const [{ value: head }, { value: record }] = await kv.call(
    (kv) =>
      kv.getMany<[Head, IdempotencyRecord]>([
        headKey(pipeline),
        idempotencyKey(pipeline, token.key),
      ]),
    { as: "log-unavailable" },
  );
  if (!record || record.until <= clock.now() || record.first <= (head?.deleted ?? 0)) return null;
  if (record.fingerprint !== token.fingerprint) throw keyReused();
  const { epoch, count, last = 0, end } = record;
  return { count, last: { epoch, sequence: last }, ...end !== undefined && { end } };
}
