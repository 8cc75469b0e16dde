/**
 * Limits the memory that publishes take while they wait for the log.
 *
 * @module
 */

import { Quota, RunnelError } from "../base/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";
import { EVENT_HEADER_BYTES } from "./segment.ts";

/** Memory that a waiting request takes in addition to its events, in bytes. */
const REQUEST_OVERHEAD_BYTES = 512;

/** Returns the memory that a request takes while it waits, in bytes. */
export function requestBytes(events: readonly NewEvent[]): number {
  let bytes = REQUEST_OVERHEAD_BYTES;
  for (const { channel, payload, traceparent } of events) {
    // A UTF-16 unit is three bytes of UTF-8 at most.
    bytes += EVENT_HEADER_BYTES + channel.length * 3 + payload.length;
    if (traceparent) bytes += traceparent.length + 1;
  }
  return bytes;
}

/** The only owner in the quota: all requests share it. */
const ALL = "";

/** The requests that wait for the log, bounded by the memory that they take. */
export class Backlog {
  readonly #quota: Quota;

  /** @param maxBytes Maximum memory of waiting requests, in bytes. */
  constructor(maxBytes: number) {
    this.#quota = new Quota(maxBytes);
  }

  /** Memory that the waiting requests take, in bytes. */
  get bytes(): number {
    return this.#quota.inUse(ALL);
  }

  /**
   * Counts a request as waiting until the result is disposed. Disposing it again
   * changes nothing.
   *
   * @param bytes Memory that the request takes, by {@linkcode requestBytes}.
   * @throws {RunnelError} `overloaded` if the backlog is full; nothing is counted then.
   */
  add(bytes: number): Disposable {
    const held = this.#quota.acquire(ALL, bytes);
    if (held) return held;
    throw new RunnelError(
      "overloaded",
      "Cannot publish: too much is waiting for the log. Nothing was stored; try again",
    );
  }
}
