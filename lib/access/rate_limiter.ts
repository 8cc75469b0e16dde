/**
 * How often each may publish.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";

/** How long requests are counted together, in milliseconds. */
const WINDOW_MS = 1000;

/** Counts the requests of each second, by whose they are. */
export class PublishRate {
  readonly #perSecond: number;
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #counts = new Map<string, number>();
  #until = -Infinity;

  /**
   * Makes a counter.
   *
   * @param perSecond How many requests each may make in a second.
   * @param runtime Clock that the seconds are taken from.
   */
  constructor(perSecond: number, runtime: Pick<Runtime, "clock">) {
    this.#perSecond = perSecond;
    this.#runtime = runtime;
  }

  /**
   * Counts a request.
   *
   * @param who Whose it is.
   * @throws {RunnelError} `too-many-requests` if it is one too many.
   *
   * @example
   * ```ts
   * import { throws } from "node:assert/strict";
   * import { systemRuntime } from "../base/mod.ts";
   *
   * const rate = new PublishRate(1, systemRuntime);
   * rate.count("192.0.2.1");
   * throws(() => rate.count("192.0.2.1"), { type: "too-many-requests" });
   * ```
   */
  count(who: string): void {
    const now = this.#runtime.clock.now();
    // All at once, so that nobody has to be forgotten one by one. A machine's
    // clock may also be set back.
    if (now >= this.#until || now < this.#until - WINDOW_MS) {
      this.#counts.clear();
      this.#until = now + WINDOW_MS;
    }
    const count = this.#counts.get(who) ?? 0;
    if (count >= this.#perSecond) {
      throw new RunnelError(
        "too-many-requests",
        `Cannot publish: more than ${this.#perSecond} requests in a second. ` +
          "Send more events in each, or wait",
      );
    }
    this.#counts.set(who, count + 1);
  }
}
