/**
 * The keys of the log in Deno KV, each built in one place.
 *
 * @module
 */

/** Prefix of the keys of all heads. */
export const HEADS: Deno.KvKey = ["head"];

/** The key of a pipeline's {@linkcode Head}. */
export function headKey(pipeline: string): Deno.KvKey {
  return [...HEADS, pipeline];
}

/** The key of the secret from which the epochs of unwritten pipelines are derived. */
export const SECRET_KEY: Deno.KvKey = ["epoch-secret"];

/** The key of a counter that steps when the head of one of its pipelines is removed. */
export function generationKey(counter: number): Deno.KvKey {
  return ["generation", counter];
}

/** The key of a record that is there while deleted events are to be erased from the file. */
export const ERASE_KEY: Deno.KvKey = ["erase"];

/** The key of a record that is written only to check that the store takes writes. */
export const PING_KEY: Deno.KvKey = ["ping"];

/**
 * The key of the segment whose last event has `sequence`.
 *
 * Segments are stored under their last sequence. So the segment that holds an
 * event is the first at or after the event's own sequence, and the segments
 * wholly below the event are those before.
 */
export function segmentKey(pipeline: string, sequence: number): Deno.KvKey {
  return ["log", pipeline, sequence];
}

/** Selects the segments of a pipeline that hold or follow the event of `sequence`. */
export function segmentsFrom(pipeline: string, sequence: number): Deno.KvListSelector {
  return { prefix: ["log", pipeline], start: segmentKey(pipeline, sequence) };
}

/** Selects the segments of a pipeline that lie wholly below the event of `sequence`. */
export function segmentsBelow(pipeline: string, sequence: number): Deno.KvListSelector {
  return { prefix: ["log", pipeline], end: segmentKey(pipeline, sequence) };
}

/** The key of the record of an idempotency key, by the key's SHA-256. */
export function idempotencyKey(pipeline: string, hash: Uint8Array): Deno.KvKey {
  return ["once", pipeline, hash];
}

/** Selects the records of idempotency keys of a pipeline, all or those from a key on. */
export function idempotencyKeysFrom(
  pipeline: string,
  start: Deno.KvKey | null,
): Deno.KvListSelector {
  const prefix = ["once", pipeline];
  return start ? { prefix, start } : { prefix };
}

/** Prefix of the keys of all jobs that remove what is left of deleted pipelines. */
export const DELETIONS: Deno.KvKey = ["deletion"];

/** The key of the job that removes what is left of a deleted pipeline. */
export function deletionKey(pipeline: string): Deno.KvKey {
  return [...DELETIONS, pipeline];
}
