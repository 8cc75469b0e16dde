/**
 * Reads what the log of a pipeline has beyond its tail, up to the head.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import { endOf, type EventLog, type Head } from "../log/mod.ts";
import { EncodedEvents, type PageReader, type TrimLimits } from "../stream/mod.ts";

/** Maximum number of logs that one read tries, each of which replaces the one before. */
const MAX_TRIES = 4;

/** Options for {@linkcode readToHead}. */
export interface TailReaderOptions {
  /** The log that is read. */
  log: Pick<EventLog, "ensureHead" | "renewEpoch">;
  /** Reader of missing events. */
  pages: Pick<PageReader, "read">;
  /** Minimum of events that stay in memory. */
  limits: TrimLimits;
}

/** Newest events of a log. */
export interface NewestEvents {
  /** Head that was read. */
  head: Head;
  /** Events up to the head. */
  events: EncodedEvents;
}

/**
 * Reads the newest events of a log, up to a head that is read after this call.
 *
 * @param events Events that are known, to which nothing may be appended meanwhile; `null`
 *   if there are none.
 * @returns The head, and the same object with the missing events; another object if the
 *   log was replaced, or has too many of them.
 * @throws {RunnelError} `log-unavailable` if the log does not answer, or is replaced
 *   again and again.
 */
export async function readToHead(
  pipeline: string,
  events: EncodedEvents | null,
  options: TailReaderOptions,
): Promise<NewestEvents> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const head = await readHead(pipeline, events, options);
    const newest = await readUpTo(pipeline, head, events, options);
    // A part of a log would be taken for one that was rolled back.
    if (!newest) continue;
    // Also after a clear, which removes its entry.
    newest.end ??= endOf(head);
    return { head, events: newest };
  }
  throw new RunnelError(
    "log-unavailable",
    `Cannot read the newest events of ${pipeline}: its log is replaced too often. Try again`,
  );
}

async function readHead(
  pipeline: string,
  events: EncodedEvents | null,
  { log }: TailReaderOptions,
): Promise<Head> {
  const head = await log.ensureHead(pipeline);
  const { epoch, last } = events ?? {};
  // Nothing is appended meanwhile: the events that are known are older than the read.
  if (epoch !== head.epoch || head.sequence >= last!) return head;
  return await log.renewEpoch(pipeline, { epoch, sequence: last! });
}

/** Returns the events up to a head; `null` if another log has replaced that one meanwhile. */
async function readUpTo(
  pipeline: string,
  head: Head,
  known: EncodedEvents | null,
  { pages, limits }: TailReaderOptions,
): Promise<EncodedEvents | null> {
  let events = known;
  if (!events || events.epoch !== head.epoch) {
    events = new EncodedEvents(head.epoch, Math.max(0, head.sequence - limits.events));
  } else if (head.sequence - events.last > limits.events) {
    // Only the subscribers that need the events in between read them.
    events = new EncodedEvents(head.epoch, head.sequence - limits.events);
  }
  while (events.last < head.sequence) {
    const page = await pages.read(pipeline, events.last);
    if (page?.epoch !== events.epoch) return null;
    if (page.after > events.last) events = new EncodedEvents(page.epoch, page.after);
    events.appendAll(page.events);
    events.trim(limits);
  }
  return events;
}
