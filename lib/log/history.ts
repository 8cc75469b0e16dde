/**
 * Reads the newest events of a pipeline from the log, page by page, so that a
 * client that reads slowly holds no more of them in memory than a page.
 *
 * @module
 */

import { RunnelError, type Semaphore } from "../base/mod.ts";
import type { AcceptedEvent, ChannelFilter, Position, RunEnd } from "../protocol/mod.ts";
import type { EventLog } from "./event_log.ts";
import { endOf, type Head, lastPublished } from "./head.ts";
import type { Page } from "./log_reader.ts";

/** Size of segments after which a page ends, in bytes: with its last segment, a page has 256 KiB. */
const PAGE_BYTES = 192 * 1024;

/** Part of a log that histories and pages are read from. */
export type HistoryLog = Pick<EventLog, "head" | "ensureHead" | "readAfter">;

/** A part of a history. */
export interface HistoryPage {
  /**
   * Position at which the whole history ends, in the log that its events are from: whoever
   * subscribes with it receives each later event once, and the end of the run.
   */
  position: Position;
  /** The events, oldest first; empty only in the last page. */
  events: AcceptedEvent[];
  /** Whether no page follows. */
  isLast: boolean;
  /** The end of the run, in the last page if it has ended. */
  end?: RunEnd;
}

/** Options for {@linkcode readHistory}. */
export interface HistoryOptions {
  /** The log that is read. */
  log: HistoryLog;
  /** Limits the pages that are read at once. It is not held while a page is sent. */
  reads: Semaphore;
  /** Filter of the channels. */
  filter: ChannelFilter;
  /** Returns the sequence after which the history begins in a log. */
  findStart: (head: Head) => number | Promise<number>;
  /** Returns how far the events after a position are known to be on other channels. */
  skip?: (position: Position) => number;
}

/**
 * Reads the newest events of a pipeline, up to the newest one at the beginning.
 *
 * @returns The pages, at least one.
 * @throws {RunnelError} `log-unavailable` if the log does not answer, or if it was
 *   trimmed, cleared or replaced between two pages: a history is whole, or it fails.
 */
export async function* readHistory(
  pipeline: string,
  { log, reads, filter, findStart, skip = ({ sequence }) => sequence }: HistoryOptions,
): AsyncGenerator<HistoryPage, void> {
  const head = await readHead(log, pipeline);
  const position = { epoch: head.epoch, sequence: lastPublished(head) };
  const end = endOf(head);
  const lastPage = { position, isLast: true, ...end && { end } };
  let cursor = await findStart(head);
  for (let isFirst = true; cursor < head.sequence; isFirst = false) {
    const from = skip({ epoch: head.epoch, sequence: cursor });
    if (from >= head.sequence) break;
    const page = await reads.run(() => log.readAfter(pipeline, from, PAGE_BYTES));
    if (page?.epoch !== head.epoch || page.sequence < head.sequence) throw changed(pipeline);
    if (!isFirst && await wasTrimmed(log, pipeline, page)) throw changed(pipeline);
    cursor = page.events.at(-1)?.sequence ?? page.after;
    const isLast = cursor >= head.sequence;
    const events = page.events.filter(({ sequence, channel }) =>
      sequence <= head.sequence && filter.keeps(channel)
    );
    if (isLast) return yield { events, ...lastPage };
    if (events.length > 0) yield { position, events, isLast };
  }
  yield { events: [], ...lastPage };
}

/**
 * Returns the position at which a history ends that is read now.
 *
 * @throws {RunnelError} `log-unavailable` if the log does not answer.
 */
export async function readPosition(log: HistoryLog, pipeline: string): Promise<Position> {
  const head = await readHead(log, pipeline);
  return { epoch: head.epoch, sequence: lastPublished(head) };
}

/** Reads the head of a pipeline, or the one that its first event will follow. */
export async function readHead(log: HistoryLog, pipeline: string): Promise<Head> {
  return await log.head(pipeline) ?? await log.ensureHead(pipeline);
}

/** Whether events before a page were trimmed. Otherwise the log never had those that are missing. */
async function wasTrimmed(
  log: Pick<EventLog, "head">,
  pipeline: string,
  { missed, after }: Page,
): Promise<boolean> {
  if (missed === 0) return false;
  const head = await log.head(pipeline);
  return head === null || head.oldest > after - missed + 1;
}

function changed(pipeline: string): RunnelError {
  return new RunnelError(
    "log-unavailable",
    `Cannot read the history of ${pipeline}: its log changed meanwhile. Try again`,
  );
}
