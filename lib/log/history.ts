/**
 * Reads the newest events of a pipeline from the log, all into memory.
 *
 * @module
 */

import type { Semaphore } from "../base/mod.ts";
import type { AcceptedEvent } from "../protocol/mod.ts";
import type { EventLog } from "./event_log.ts";

/** The newest events of a pipeline. */
export interface History {
  /** Epoch of the log that the events are from; empty if there is no log. */
  epoch: string;
  /** The events, oldest first. */
  events: AcceptedEvent[];
}

/**
 * Reads the newest events of a pipeline.
 *
 * @param semaphore Limits the histories in memory: each stays there until it was sent.
 * @param count Maximum number of events.
 * @throws {RunnelError} `log-unavailable` if the log does not answer,
 *   `overloaded` if too many reads wait for the semaphore.
 */
export async function readHistory(
  log: Pick<EventLog, "head" | "readAfter">,
  semaphore: Semaphore,
  pipeline: string,
  count: number,
): Promise<History> {
  return await semaphore.run(async () => {
    const events: AcceptedEvent[] = [];
    const head = await log.head(pipeline);
    if (!head) return { epoch: "", events };
    let after = Math.max(0, head.sequence - count);
    while (after < head.sequence) {
      const page = await log.readAfter(pipeline, after, Infinity);
      if (page?.epoch !== head.epoch) break;
      events.push(...page.events.filter(({ sequence }) => sequence <= head.sequence));
      after = page.events.at(-1)?.sequence ?? page.after;
    }
    return { epoch: head.epoch, events };
  });
}
