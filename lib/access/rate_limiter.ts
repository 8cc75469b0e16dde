/**
 * Rate limits of clients that write, and of invalid tokens.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";

/** Length of the window in which requests are counted, in milliseconds. */
const WINDOW_MS = 1000;

/** A rate limiter with fixed windows: counts the requests of each client in each second. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #refusal: string;
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #counts = new Map<string, number>();
  #until = -Infinity;
  #window = 0;

  /**
   * @param perSecond Maximum number of requests of one client in a second.
   * @param runtime Clock used for the windows.
   * @param refusal Message over the limit.
   */
  constructor(perSecond: number, runtime: Pick<Runtime, "clock">, refusal: string) {
    this.#perSecond = perSecond;
    this.#refusal = refusal;
    this.#runtime = runtime;
  }

  /**
   * Counts a request.
   *
   * @param client Identifies the client: the ID of its token, or its address.
   * @returns The window in which it is counted.
   * @throws {RunnelError} `too-many-requests` over the limit.
   */
  count(client: string): number {
    if (this.tryCount(client)) return this.#window;
    throw new RunnelError("too-many-requests", this.#refusal);
  }

  /** Counts a request unless it is over the limit, and returns whether it is not. */
  tryCount(client: string): boolean {
    const now = this.#runtime.clock.monotonic();
    // All clients share a window, so that none has to be evicted on its own.
    if (now >= this.#until) {
      this.#counts.clear();
      this.#until = now + WINDOW_MS;
      this.#window++;
    }
    const count = this.#counts.get(client) ?? 0;
    if (count >= this.#perSecond) return false;
    this.#counts.set(client, count + 1);
    return true;
  }

  /** Time until requests are counted anew, in milliseconds. */
  get msLeft(): number {
    return Math.max(0, this.#until - this.#runtime.clock.monotonic());
  }

  /** Takes back a request that was counted, unless its window is over. */
  discount(client: string, window: number): void {
    if (window === this.#window) this.#counts.set(client, this.#counts.get(client)! - 1);
  }
}
