/**
 * Reads whole histories from the log: few at a time, since each is in memory
 * until it was sent.
 *
 * @module
 */

import { Semaphore } from "../base/mod.ts";
import type { AcceptedEvent } from "../protocol/mod.ts";
import type { EventLog } from "./event_log.ts";

/** How many histories are read at once, and how many wait for that. */
const MAX_READS = 2;
const MAX_WAITING = 32;

/** The newest events of a pipeline. */
export interface History {
  /** Which log of the pipeline they are from; empty if there is none. */
  epoch: string;
  /** The events, oldest first. */
  events: AcceptedEvent[];
}

/** Reads histories for all pipelines of an isolate. */
export class HistoryReader {
  readonly #log: Pick<EventLog, "head" | "readAfter">;
  readonly #semaphore = new Semaphore(MAX_READS, MAX_WAITING);

  /**
   * Makes a reader with nothing to do.
   *
   * @param log What is read.
   */
  constructor(log: Pick<EventLog, "head" | "readAfter">) {
    this.#log = log;
  }

  /**
   * Reads the newest events of a pipeline.
   *
   * @param pipeline Whose.
   * @param count How many at most.
   * @throws {RunnelError} `log-unavailable` if the log does not answer,
   *   `overloaded` if too many ask.
   */
  async read(pipeline: string, count: number): Promise<History> {
    return await this.#semaphore.run(() => this.#read(pipeline, count));
  }

  async #read(pipeline: string, count: number): Promise<History> {
    const events: AcceptedEvent[] = [];
    const head = await this.#log.head(pipeline);
    if (!head) return { epoch: "", events };
    let after = Math.max(0, head.sequence - count);
    while (after < head.sequence) {
      const page = await this.#log.readAfter(pipeline, after, Infinity);
      if (page?.epoch !== head.epoch) break;
      events.push(...page.events.filter(({ sequence }) => sequence <= head.sequence));
      after = page.events.at(-1)?.sequence ?? page.after;
    }
    return { epoch: head.epoch, events };
  }
}
