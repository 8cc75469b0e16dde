/**
 * How often each may publish.
 *
 * @module
 */

import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { RunnelError } from "../errors.ts";

/** Counts the requests of each second, by whose they are. */
export class PublishRate {
  readonly #limiter: RateLimiterMemory;

  /**
   * Makes a counter.
   *
   * @param perSecond How many requests each may make in a second.
   */
  constructor(perSecond: number) {
    this.#limiter = new RateLimiterMemory({ points: perSecond, duration: 1 });
  }

  /**
   * Counts a request.
   *
   * @param who Whose it is.
   * @throws {RunnelError} `too-many-requests` if it is one too many.
   *
   * @example
   * ```ts
   * import { rejects } from "node:assert/strict";
   *
   * const rate = new PublishRate(1);
   * await rate.count("192.0.2.1");
   * await rejects(rate.count("192.0.2.1"), { type: "too-many-requests" });
   * ```
   */
  async count(who: string): Promise<void> {
    try {
      await this.#limiter.consume(who);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      throw new RunnelError(
        "too-many-requests",
        `Cannot publish: more than ${this.#limiter.points} requests in a second. ` +
          "Send more events in each, or wait",
      );
    }
  }
}
