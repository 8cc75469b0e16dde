/**
 * What publishes that wait for the log take of memory, and its bound.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";
import { EVENT_OVERHEAD_BYTES } from "./segment.ts";

/** What a request costs in memory while it waits, beside its bytes. */
const REQUEST_OVERHEAD_BYTES = 512;

/**
 * What a request costs in memory while it waits, in bytes.
 *
 * @param events The request's events.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(requestBytes([{ channel: "a", payload: new Uint8Array(7) }]), 528);
 * ```
 */
export function requestBytes(events: readonly NewEvent[]): number {
  let bytes = REQUEST_OVERHEAD_BYTES;
  for (const { channel, payload } of events) {
    // A UTF-16 unit is three bytes of UTF-8 at most.
    bytes += EVENT_OVERHEAD_BYTES + channel.length * 3 + payload.length;
  }
  return bytes;
}

/** The bytes that wait, bounded. */
export class WaitingBytes {
  readonly #max: number;
  #size = 0;

  /**
   * Makes room.
   *
   * @param max How many bytes may wait.
   */
  constructor(max: number) {
    this.#max = max;
  }

  /** How many bytes wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * Counts a request as waiting until the result is disposed.
   *
   * @param bytes What the request costs.
   * @throws {RunnelError} `overloaded` if there is no room for it.
   *
   * @example
   * ```ts
   * import { strictEqual as equal, throws } from "node:assert/strict";
   *
   * const waiting = new WaitingBytes(1000);
   * {
   *   using _room = waiting.add(528);
   *   throws(() => waiting.add(528), { type: "overloaded" });
   * }
   * equal(waiting.size, 0);
   * ```
   */
  add(bytes: number): Disposable {
    if (this.#size + bytes > this.#max) {
      throw new RunnelError(
        "overloaded",
        "Cannot publish: too much is waiting for the log. Nothing was stored; try again",
      );
    }
    this.#size += bytes;
    return { [Symbol.dispose]: () => void (this.#size -= bytes) };
  }
}
