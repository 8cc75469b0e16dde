/**
 * Finds the first event of a pipeline that was accepted at a time or later, by few reads.
 *
 * @module
 */

import type { Kv, KvConnection } from "../kv/mod.ts";
import type { HeadStore } from "./head_store.ts";
import { segmentsFrom } from "./keys.ts";
import { readSegmentHeader, type SegmentHeader } from "./segment.ts";
import { isDamage } from "./segment_list.ts";

/** The place of a time in a log. */
export interface TimePlace {
  /** Epoch of the log. */
  epoch: string;
  /** Sequence after which the events are as young as was asked for. */
  start: number;
}

/** Options for {@linkcode findSince}. */
export interface TimeSearchOptions {
  /** The store. */
  kv: KvConnection;
  /** Heads of the pipelines. */
  heads: Pick<HeadStore, "read">;
}

/**
 * Finds the place from which on no retained event is missing that was accepted at a time or
 * later: right before the first such event, however old those after it are. They are older
 * only if the clock was set back by more than an hour in between. As long as events of before
 * are retained then, the place for a time that they have reached is before all events.
 *
 * A place where segments are missing or damaged counts as young, so that it is told.
 *
 * @param since The time, in milliseconds since the Unix epoch.
 * @returns `null` if there is no log of that pipeline.
 * @throws {RunnelError} `log-unavailable` if the log does not answer.
 */
export async function findSince(
  pipeline: string,
  since: number,
  { kv, heads }: TimeSearchOptions,
): Promise<TimePlace | null> {
  const head = await heads.read(pipeline);
  if (!head) return null;
  const { epoch, sequence, oldest, time, stepped } = head;
  let ordered = oldest;
  if (stepped && stepped[0] > oldest) {
    if (since <= stepped[1]) return { epoch, start: oldest - 1 };
    ordered = stepped[0];
  }
  if (ordered > sequence || time < since) return { epoch, start: sequence };
  const start = await kv.call((kv) => bisect(kv, pipeline, { ordered, sequence, since }), {
    as: "log-unavailable",
  });
  return { epoch, start };
}

/** Searches among events whose times do not decrease, the last of which is young. */
async function bisect(
  kv: Kv,
  pipeline: string,
  { ordered, sequence, since }: { ordered: number; sequence: number; since: number },
): Promise<number> {
  // Up to `low` all are older, and the one after `high` is young.
  let low = ordered - 1;
  let high = sequence - 1;
  // Often all that is retained is asked for.
  let probed = ordered;
  while (low < high) {
    const segment = await readHeaderAt(kv, pipeline, probed);
    if (segment && segment.time < since) low = Math.min(Math.max(probed, segment.last), high);
    else high = Math.max(low, Math.min(probed, segment?.first ?? probed) - 1);
    probed = low + Math.ceil((high - low) / 2);
  }
  return high;
}

/** Reads the header of the segment of an event, or of the first one after it; `null` if it cannot be read. */
async function readHeaderAt(
  kv: Kv,
  pipeline: string,
  sequence: number,
): Promise<SegmentHeader | null> {
  try {
    const listed = kv.list<unknown>(segmentsFrom(pipeline, sequence), { limit: 1 });
    const [entry] = await Array.fromAsync(listed);
    if (!(entry?.value instanceof Uint8Array)) return null;
    const header = readSegmentHeader(entry.value);
    return header.last === entry.key.at(-1) ? header : null;
  } catch (error) {
    // Of a later version, or too short.
    if (isDamage(error) || error instanceof TypeError || error instanceof RangeError) return null;
    throw error;
  }
}
