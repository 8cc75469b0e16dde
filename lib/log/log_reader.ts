/**
 * Reads the events of the log, page by page, and tells what is gone.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { AcceptedEvent } from "../protocol/mod.ts";
import type { HeadStore } from "./head_store.ts";
import { segmentsFrom } from "./keys.ts";
import { readSegmentHeader, unpackSegment } from "./segment.ts";

/** Segments fetched at once: Deno KV's own choice, 100, would be 6 MiB at worst. */
const READ_SIZE = 64;

/** Events of a page, at most: tiny ones grow many times over when they are encoded. */
const MAX_PAGE_EVENTS = 1000;

/** How often a page is read anew when the log is trimmed under its reader. */
const READ_TRIES = 5;

/** Why events are missing: retention took them, or a clear. */
export type MissedReason = "evicted" | "cleared";

/** Events of a pipeline as they follow a position. */
export interface Page {
  /** Which log of the pipeline they are from. */
  epoch: string;
  /** The sequence of the newest event that was known when the page was read. */
  sequence: number;
  /** The sequence after which `events` begin: as asked, or later if events are gone. */
  after: number;
  /** How many events are gone between the position asked for and `after`. */
  missed: number;
  /** Why they are gone. */
  reason: MissedReason;
  /** The events, contiguous; empty if nothing follows. */
  events: AcceptedEvent[];
}

/** What a {@linkcode LogReader} works with. */
export interface LogReaderOptions {
  /** The store. */
  kv: KvConnection;
  /** The heads of its pipelines. */
  heads: Pick<HeadStore, "read">;
  /** How long a read may take, in milliseconds. */
  timeoutMs: number;
  /** Clock, and reporter of events that are gone though nothing gave them up. */
  runtime: Pick<Runtime, "clock" | "report">;
}

/** Reads the events of the log. */
export class LogReader {
  readonly #options: LogReaderOptions;

  /**
   * Makes a reader.
   *
   * @param options What it works with.
   */
  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads what follows a sequence, up to about `maxBytes` of it.
   *
   * @param pipeline Whose log.
   * @param sequence After which event.
   * @param maxBytes How many bytes of segments to read at most, but one segment at least.
   * @returns The page, or `null` if there is no log of that pipeline.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async readAfter(pipeline: string, sequence: number, maxBytes: number): Promise<Page | null> {
    for (let tries = 1;; tries++) {
      const head = await this.#options.heads.read(pipeline);
      if (!head) return null;
      const after = Math.max(sequence, head.oldest - 1);
      const events = await this.#list(pipeline, after, maxBytes);
      const found = events[0]?.sequence ?? head.sequence + 1;
      if (found > after + 1 && tries < READ_TRIES) continue;
      if (found > after + 1) {
        this.#options.runtime.report(
          `The log of ${pipeline} has no events ${after + 1} to ${found - 1}`,
        );
      }
      return {
        epoch: head.epoch,
        sequence: Math.max(head.sequence, events.at(-1)?.sequence ?? 0),
        after: Math.max(after, found - 1),
        missed: Math.max(0, found - 1 - sequence),
        reason: head.oldest === head.cleared ? "cleared" : "evicted",
        events,
      };
    }
  }

  /** The contiguous events that are there; the pages of a list are not one snapshot. */
  async #list(pipeline: string, after: number, maxBytes: number): Promise<AcceptedEvent[]> {
    const { kv, runtime: { clock }, timeoutMs } = this.#options;
    const until = clock.now() + timeoutMs;
    return await kv.call(async (kv) => {
      const events: AcceptedEvent[] = [];
      let bytes = 0;
      const selector = segmentsFrom(pipeline, after + 1);
      for await (const { value } of kv.list<Uint8Array>(selector, { batchSize: READ_SIZE })) {
        const { first } = readSegmentHeader(value);
        const previous = events.at(-1)?.sequence;
        if (previous !== undefined && first !== previous + 1) break;
        const wanted = unpackSegment(value).filter(({ sequence }) => sequence > after);
        events.push(...wanted.slice(0, MAX_PAGE_EVENTS - events.length));
        bytes += value.length;
        if (bytes >= maxBytes || events.length === MAX_PAGE_EVENTS) break;
        // Nobody waits for the rest any more.
        if (clock.now() > until) break;
      }
      return events;
    }, { as: "log-unavailable" });
  }
}
