/**
 * The bodies of as few requests as the limits allow.
 *
 * @module
 */

import { MAX_BODY_BYTES, MAX_EVENTS } from "../protocol/event_rules.ts";
import type { CapturedEvent } from "./captured_event.ts";

/** Events that go together: all of them are stored, or none. */
export interface Batch {
  /** The events, in order. */
  events: CapturedEvent[];
  /** The body of the request that publishes them. */
  body: string;
}

/**
 * Puts events into as few requests as the limits allow.
 *
 * @param pipeline Where they go.
 * @param events The events, in order.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
 *
 * const events = Array(1001).fill({ channel: "names", payload: '"Luke"' });
 * deepEqual(toBatches("p_aBcDeF", events).map(({ events }) => events.length), [1000, 1]);
 * ```
 */
export function toBatches(pipeline: string, events: readonly CapturedEvent[]): Batch[] {
  const batches: Batch[] = [];
  let batch: CapturedEvent[] = [];
  let items: string[] = [];
  // The brackets, less the comma that the first event has not.
  let size = 1;
  const close = () => {
    if (batch.length > 0) batches.push({ events: batch, body: `[${items.join(",")}]` });
    [batch, items, size] = [[], [], 1];
  };
  for (const event of events) {
    const item = `{"pipeline":${JSON.stringify(pipeline)},` +
      `"channel":${JSON.stringify(event.channel)},"payload":${event.payload}}`;
    const itemSize = new TextEncoder().encode(item).length + 1;
    if (batch.length === MAX_EVENTS || size + itemSize > MAX_BODY_BYTES) close();
    batch.push(event);
    items.push(item);
    size += itemSize;
  }
  close();
  return batches;
}
