/**
 * Rate limit of clients that write.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";

/** Length of the window in which requests are counted, in milliseconds. */
const WINDOW_MS = 1000;

/** A rate limiter with fixed windows: counts the requests of each client in each second. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #counts = new Map<string, number>();
  #until = -Infinity;

  /**
   * @param perSecond Maximum number of requests of one client in a second.
   * @param runtime Clock used for the windows.
   */
  constructor(perSecond: number, runtime: Pick<Runtime, "clock">) {
    this.#perSecond = perSecond;
    this.#runtime = runtime;
  }

  /**
   * Counts a request.
   *
   * @param client Identifies the client: the ID of its token, or its address.
   * @throws {RunnelError} `too-many-requests` over the limit.
   */
  count(client: string): void {
    const now = this.#runtime.clock.monotonic();
    // All clients share a window, so that none has to be evicted on its own.
    if (now >= this.#until) {
      this.#counts.clear();
      this.#until = now + WINDOW_MS;
    }
    const count = this.#counts.get(client) ?? 0;
    if (count >= this.#perSecond) {
      throw new RunnelError(
        "too-many-requests",
        `Cannot publish: more than ${this.#perSecond} requests in a second. ` +
          "Send more events in each, or wait",
      );
    }
    this.#counts.set(client, count + 1);
  }
}
