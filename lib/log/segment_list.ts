/**
 * Lists the events of a pipeline's segments, and passes over what is damaged.
 *
 * @module
 */

import type { Kv } from "../kv/mod.ts";
import type { AcceptedEvent } from "../protocol/mod.ts";
import { segmentsFrom } from "./keys.ts";
import { readSegmentHeader, unpackSegment } from "./segment.ts";

/** Maximum number of events in a page: tiny ones grow many times over when they are encoded. */
const MAX_PAGE_EVENTS = 1000;

/** Options for {@linkcode listEvents}. */
export interface ListOptions {
  /** Sequence after which the events begin. */
  after: number;
  /** Sequence of the newest event. */
  last: number;
  /** Size of segments after which the list ends, in bytes. It holds at least one. */
  maxBytes: number;
  /** Number of segments that are read at once. */
  batchSize: number;
  /** Whether the caller no longer waits. */
  isLate: () => boolean;
}

/**
 * Lists events as long as they are contiguous: the pages of a list are not one
 * snapshot, so a trim may run between two of them.
 *
 * Damaged segments end the list, unless no event comes before them: then it begins
 * with the first event that is found after them.
 *
 * @returns The events; none if everything up to `last` is missing or damaged.
 * @throws The error of the store, unless it says that the store is damaged.
 */
export async function listEvents(
  kv: Kv,
  pipeline: string,
  options: ListOptions,
): Promise<AcceptedEvent[]> {
  const { after, last, batchSize } = options;
  const events: AcceptedEvent[] = [];
  if (await collect(kv, pipeline, after + 1, batchSize, { ...options, events })) return events;
  // A damaged segment fails the whole batch: those before it are read one by one.
  events.length = 0;
  await collect(kv, pipeline, after + 1, 1, { ...options, events });
  if (events.length > 0) return events;
  const next = await findReadable(kv, pipeline, after + 1, last);
  if (next !== null) await collect(kv, pipeline, next, 1, { ...options, events });
  return events;
}

/** Adds the events from a sequence on. Returns false if a damaged place ended it. */
async function collect(
  kv: Kv,
  pipeline: string,
  from: number,
  batchSize: number,
  { after, maxBytes, isLate, events }: ListOptions & { events: AcceptedEvent[] },
): Promise<boolean> {
  let bytes = 0;
  try {
    for await (
      const { key, value } of kv.list<Uint8Array>(segmentsFrom(pipeline, from), { batchSize })
    ) {
      const segment = unpackIfWhole(value, key);
      if (!segment && events.length === 0) continue;
      const previous = events.at(-1)?.sequence;
      if (!segment || (previous !== undefined && segment[0]!.sequence !== previous + 1)) break;
      const wanted = segment.filter(({ sequence }) => sequence > after);
      events.push(...wanted.slice(0, MAX_PAGE_EVENTS - events.length));
      bytes += value.length;
      // Nobody reads the rest if the caller is late: it has its error by now.
      if (bytes >= maxBytes || events.length === MAX_PAGE_EVENTS || isLate()) break;
    }
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return false;
  }
}

/** Returns the events of a segment, or `null` if it is damaged or of a later version. */
function unpackIfWhole(value: unknown, key: Deno.KvKey): AcceptedEvent[] | null {
  if (!(value instanceof Uint8Array)) return null;
  try {
    return readSegmentHeader(value).last === key.at(-1) ? unpackSegment(value) : null;
  } catch {
    return null;
  }
}

/**
 * Searches the first sequence from which on segments can be read: in growing steps,
 * then between the last two, so that a long damage costs few reads.
 */
async function findReadable(
  kv: Kv,
  pipeline: string,
  first: number,
  last: number,
): Promise<number | null> {
  let damaged = first;
  let readable = first;
  for (let step = 1; !await isReadable(kv, pipeline, readable); step *= 2) {
    if (readable >= last) return null;
    damaged = readable;
    readable = Math.min(readable + step, last);
  }
  while (readable - damaged > 1) {
    const middle = Math.floor((damaged + readable) / 2);
    if (await isReadable(kv, pipeline, middle)) readable = middle;
    else damaged = middle;
  }
  return readable;
}

async function isReadable(kv: Kv, pipeline: string, sequence: number): Promise<boolean> {
  try {
    await Array.fromAsync(kv.list(segmentsFrom(pipeline, sequence), { limit: 1 }));
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return false;
  }
}

/** Whether an error says that a place of the store is damaged: SQLite's words, and V8's. */
export function isDamage(error: unknown): boolean {
  return error instanceof Error &&
    /disk image is malformed|could not deserialize/.test(error.message);
}
