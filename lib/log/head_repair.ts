/**
 * Rebuilds the head of a pipeline from its segments, where the record is damaged.
 *
 * @module
 */

import type { KvConnection } from "../kv/mod.ts";
import type { Deletion } from "./deletions.ts";
import { type Head, mintEpoch, newHead } from "./head.ts";
import { deletionKey, headKey, segmentsBelow } from "./keys.ts";
import { END_CHANNEL } from "../protocol/mod.ts";
import { readChannels, readSegmentHeader } from "./segment.ts";

/** Whether a value is a head. */
export function isHead(value: unknown): value is Head {
  if (typeof value !== "object" || value === null) return false;
  const { epoch, sequence, oldest, cleared, time, bytes, marks } = value as Head;
  return typeof epoch === "string" && Array.isArray(marks) && Number.isFinite(time) &&
    [sequence, oldest, cleared, bytes].every(Number.isSafeInteger);
}

/**
 * Replaces the head of a pipeline by one with the events that are left, under a new
 * epoch: the newest ones may be missing. No other process may use the store.
 *
 * The size of what is retained is counted anew, so that the log may take twice its
 * room for a while.
 *
 * @param now The time, in milliseconds since the Unix epoch.
 * @throws {RunnelError} `log-unavailable` if the store does not answer.
 */
export async function rebuildHead(kv: KvConnection, pipeline: string, now: number): Promise<void> {
  const oldest = await readSegment(kv, pipeline, false);
  const newest = await readSegment(kv, pipeline, true);
  const head = newHead(mintEpoch(), now);
  if (oldest && newest) {
    head.sequence = newest.last;
    head.oldest = oldest.first;
    head.time = Math.min(newest.time, now);
    if (newest.time > now) head.stepped = [newest.last + 1, newest.time];
    head.marks = [[oldest.first, oldest.time, 0]];
  }
  const { value: job } = await kv.call((kv) => kv.get<Deletion>(deletionKey(pipeline)), {
    as: "log-unavailable",
  });
  if (job) skipDeleted(head, job);
  if (newest?.isEnd && newest.last > (head.deleted ?? 0)) head.ended = newest.last;
  await kv.call((kv) => kv.atomic().set(headKey(pipeline), head).commit(), {
    as: "log-unavailable",
  });
}

/** Moves a head beyond what a deletion has not removed yet, and is going to remove. */
function skipDeleted(head: Head, { below }: Deletion): void {
  head.deleted = below - 1;
  if (head.sequence < below) {
    Object.assign(head, { sequence: below - 1, oldest: below, cleared: below, marks: [] });
    delete head.stepped;
  } else if (head.oldest < below) {
    head.oldest = below;
    head.marks = [[below, head.marks[0]![1], 0]];
  }
}

/** Reads the header of the first segment of a pipeline, or of the last one. */
async function readSegment(
  kv: KvConnection,
  pipeline: string,
  reverse: boolean,
): Promise<{ first: number; last: number; time: number; isEnd: boolean } | null> {
  const selector = segmentsBelow(pipeline, Infinity);
  const [entry] = await kv.call(
    (kv) => Array.fromAsync(kv.list<Uint8Array>(selector, { limit: 1, reverse })),
    { as: "log-unavailable" },
  );
  if (!entry) return null;
  const last = entry.key.at(-1) as number;
  try {
    const header = readSegmentHeader(entry.value);
    const isEnd = readChannels(entry.value).at(-1) === END_CHANNEL;
    if (header.last === last) return { ...header, isEnd };
  } catch {
    // It is damaged as well, and its key tells enough.
  }
  return { first: last, last, time: 0, isEnd: false };
}
