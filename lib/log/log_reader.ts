/**
 * Reads the events of the log page by page, and counts the events that are missing.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { AcceptedEvent } from "../protocol/mod.ts";
import type { HeadStore } from "./head_store.ts";
import { readSize } from "./read_size.ts";
import { listEvents, type ListOptions } from "./segment_list.ts";

/** Maximum number of tries to read a page, while the log is trimmed in between. */
const READ_TRIES = 5;

/**
 * Reason why events are missing: retention evicted them, a clear removed them, or
 * the store lost them.
 */
export type MissedReason = "evicted" | "cleared" | "damaged";

/** Events of a pipeline that follow a position. */
export interface Page {
  /** Epoch of the log that the events are from. */
  epoch: string;
  /** Sequence of the newest event that was known when the page was read. */
  sequence: number;
  /** Sequence after which `events` begin: as requested, or later if events are missing. */
  after: number;
  /**
   * Number of events missing between the requested sequence and `after`. Those that were deleted
   * with the pipeline are of another log, and not missing in this one.
   */
  missed: number;
  /** Reason why they are missing. */
  reason: MissedReason;
  /** The events, contiguous; empty if nothing follows. */
  events: AcceptedEvent[];
}

/** Options for {@linkcode LogReader}. */
export interface LogReaderOptions {
  /** The store. */
  kv: KvConnection;
  /** Heads of the pipelines. */
  heads: Pick<HeadStore, "read">;
  /** Deadline of a read, in milliseconds. */
  timeoutMs: number;
  /** Clock for deadlines, and reporter of events that are missing without a trim or clear. */
  runtime: Pick<Runtime, "clock" | "report">;
}

/** Reads the events of the log. */
export class LogReader {
  readonly #options: LogReaderOptions;

  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads the events that follow a sequence, up to about `maxBytes`.
   *
   * @param maxBytes Size of segments after which the page ends, in bytes. It holds at least one.
   * @returns The page, or `null` if there is no log of that pipeline.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async readAfter(pipeline: string, sequence: number, maxBytes: number): Promise<Page | null> {
    for (let tries = 1;; tries++) {
      const head = await this.#options.heads.read(pipeline);
      if (!head) return null;
      const after = Math.max(sequence, head.oldest - 1);
      const events = await this.#list(pipeline, {
        after,
        last: head.sequence,
        maxBytes,
        batchSize: readSize(head, maxBytes),
      });
      const found = events[0]?.sequence ?? head.sequence + 1;
      const isDamaged = found > after + 1;
      if (isDamaged && tries < READ_TRIES) continue;
      if (isDamaged) {
        this.#options.runtime.report(
          "The log of a pipeline lacks events: it is damaged, or a later version wrote it",
          undefined,
          { fields: { pipeline, first: after + 1, last: found - 1 } },
        );
      }
      return {
        epoch: head.epoch,
        sequence: Math.max(head.sequence, events.at(-1)?.sequence ?? 0),
        after: Math.max(after, found - 1),
        missed: Math.max(0, found - 1 - Math.max(sequence, head.deleted ?? 0)),
        reason: isDamaged ? "damaged" : head.oldest === head.cleared ? "cleared" : "evicted",
        events,
      };
    }
  }

  async #list(
    pipeline: string,
    options: Omit<ListOptions, "isLate">,
  ): Promise<AcceptedEvent[]> {
    const { kv, runtime: { clock }, timeoutMs } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    const isLate = () => clock.monotonic() > until;
    return await kv.call((kv) => listEvents(kv, pipeline, { ...options, isLate }), {
      as: "log-unavailable",
    });
  }
}
