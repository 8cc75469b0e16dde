/**
 * Reads one page of a pipeline's events, after a position: as many as a client asks for and
 * as fit, and where it goes on.
 *
 * @module
 */

import { RunnelError, type Semaphore } from "../base/mod.ts";
import type { AcceptedEvent, ChannelFilter, Position, RunEnd } from "../protocol/mod.ts";
import { endOf, type Head, lastPublished } from "./head.ts";
import { type HistoryLog, readHead } from "./history.ts";
import type { MissedReason } from "./log_reader.ts";

/** Size of segments after which a read ends, in bytes. */
const READ_BYTES = 192 * 1024;

/** Maximum size of the events of a page in JSON, in bytes. One fits, whatever its size. */
const MAX_PAGE_BYTES = 256 * 1024;

/** Size of an event in JSON beside its channel and payload, at most, in bytes. */
const EVENT_BYTES = 128;

/** Maximum number of reads for a page: a filter that matches little may pass over all of a log. */
const MAX_READS = 4;

/** Maximum number of tries, while the log changes in between. */
const MAX_TRIES = 4;

/** Events that a client should have received, and that are gone. */
export interface Gap {
  /** Number of events of all channels; `null` if it is unknown. */
  missed: number | null;
  /** Reason; `unknown` for a position that is not of this log. */
  reason: MissedReason | "unknown";
}

/** A page of events. */
export interface EventPage {
  /** The events, oldest first. */
  events: AcceptedEvent[];
  /**
   * Position at which the page ends: the next page and a subscriber go on after it. It may
   * be ahead of the last event if a filter has passed events over.
   */
  position: Position;
  /** Whether more events follow, as far as the log had them when the page was begun. */
  hasMore: boolean;
  /** The events that are missing before those of the page; `null` if none are. */
  gap: Gap | null;
  /** Position after which its events begin: as requested, or later if some are missing. */
  start: Position;
  /** The end of the run; `null` while it goes on, or if more events follow. */
  end: RunEnd | null;
}

/** Options for {@linkcode readEventPage}. */
export interface EventPageOptions {
  /** The log that is read. */
  log: HistoryLog;
  /** Limits the reads that are made at once. */
  reads: Semaphore;
  /** Filter of the channels. */
  filter: ChannelFilter;
  /** Position after which the page begins; `null` for the oldest event that is retained. */
  after: Position | null;
  /** Maximum number of events, 1 or more. */
  limit: number;
}

/**
 * Reads a page. It ends before the limit if its events would take more than 256 KiB of JSON,
 * before a place where events are missing, and after about a megabyte of events that the
 * filter passed over.
 *
 * A position of another log, or one that the log has not reached, begins a page with the
 * oldest event that is retained, and so does one whose events are gone: its gap tells.
 *
 * @throws {RunnelError} `log-unavailable` if the log does not answer, or changes faster than
 *   it is read.
 */
export async function readEventPage(
  pipeline: string,
  options: EventPageOptions,
): Promise<EventPage> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const page = await tryToRead(pipeline, options);
    if (page) return page;
  }
  throw new RunnelError(
    "log-unavailable",
    `Cannot read the events of ${pipeline}: its log changes too fast. Try again`,
  );
}

/** Reads a page; `null` if the log was replaced or cleared beyond its head in between. */
async function tryToRead(
  pipeline: string,
  { log, reads, filter, after, limit }: EventPageOptions,
): Promise<EventPage | null> {
  const head = await readHead(log, pipeline);
  const { epoch } = head;
  const end = endOf(head);
  const last = lastPublished(head);
  const isKnown = after !== null && isIn(head, after);
  const events: AcceptedEvent[] = [];
  let gap: Gap | null = after && !isKnown ? { missed: null, reason: "unknown" } : null;
  let cursor = isKnown ? after.sequence : 0;
  let start = cursor;
  let bytes = 0;
  let isFull = false;
  for (let count = 0; count < MAX_READS && cursor < last && !isFull; count++) {
    const page = await reads.run(() => log.readAfter(pipeline, cursor, READ_BYTES));
    if (page?.epoch !== epoch || page.after > head.sequence) {
      if (count === 0) return null;
      // What was read stands. The next page tells of the change.
      break;
    }
    if (page.after > cursor) {
      if (count > 0) break;
      // The end of a run is not missed: it is told, though it was cleared.
      const from = Math.min(page.after, last);
      // A client does not miss what it was never told of, but the store has lost these.
      const isMissed = isKnown || page.reason === "damaged";
      const known = isKnown ? Math.max(cursor, head.deleted ?? 0) : Math.max(0, head.oldest - 1);
      const missed = from - known;
      if (isMissed && missed > 0) gap ??= { missed, reason: page.reason };
      start = cursor = from;
    }
    for (const event of page.events) {
      if (event.sequence > last) break;
      if (filter.keeps(event.channel)) {
        const size = sizeOf(event);
        isFull = events.length > 0 && bytes + size > MAX_PAGE_BYTES;
        if (isFull) break;
        events.push(event);
        bytes += size;
        isFull = events.length === limit;
      }
      cursor = event.sequence;
      if (isFull) break;
    }
    // Of another read, hardly anything would fit.
    isFull ||= bytes >= READ_BYTES;
  }
  const hasMore = cursor < last;
  return {
    events,
    position: { epoch, sequence: cursor },
    hasMore,
    gap,
    start: { epoch, sequence: start },
    end: hasMore ? null : end,
  };
}

/** Whether a log has reached a position. */
function isIn(head: Head, { epoch, sequence }: Position): boolean {
  return epoch === head.epoch && sequence <= head.sequence;
}

/** Returns the maximum size of an event in JSON, in bytes. */
function sizeOf({ channel, payload }: AcceptedEvent): number {
  return EVENT_BYTES + 3 * channel.length + payload.length;
}
