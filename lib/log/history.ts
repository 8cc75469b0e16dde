/**
 * Reads the newest events of a pipeline from the log, page by page, so that a
 * client that reads slowly holds no more of them in memory than a page.
 *
 * @module
 */

import { RunnelError, type Semaphore } from "../base/mod.ts";
import type { AcceptedEvent, ChannelFilter, Position, RunEnd } from "../protocol/mod.ts";
import type { EventLog } from "./event_log.ts";
import { endOf, type Head } from "./head.ts";
import type { Page } from "./log_reader.ts";

/** Size of segments after which a page ends, in bytes: with its last segment, a page has 256 KiB. */
const PAGE_BYTES = 192 * 1024;

/** A part of a history. */
export interface HistoryPage {
  /** Epoch of the log that the events are from; empty if there is no log. */
  epoch: string;
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
  log: Pick<EventLog, "head" | "readAfter">;
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
  const head = await log.head(pipeline);
  if (!head) return yield { epoch: "", events: [], isLast: true };
  const end = endOf(head);
  const lastPage = { isLast: true, ...end && { end } };
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
    if (isLast) return yield { epoch: head.epoch, events, ...lastPage };
    if (events.length > 0) yield { epoch: head.epoch, events, isLast };
  }
  yield { epoch: head.epoch, events: [], ...lastPage };
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
