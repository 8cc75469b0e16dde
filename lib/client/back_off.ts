/**
 * Exponential back-off with jitter.
 *
 * @module
 */

/** Reconnection time until the service sends its own, in milliseconds. */
const RETRY_MS = 2_000;

/** Shortest wait, in milliseconds. After a failure, the wait is at least five times as long. */
const MIN_MS = 100;

/** Maximum back-off, in milliseconds. */
const MAX_BACK_OFF_MS = 30_000;

/** Maximum of what a service may ask for, in milliseconds. */
const MAX_ASKED_MS = 600_000;

/** Back-off of one subscription. */
export class BackOff {
  readonly #random: () => number;
  #retryMs = RETRY_MS;
  #failures = 0;

  /** @param random Source of jitter: returns a number from 0 up to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Sets the reconnection time that the service asks for. By default, resets it. */
  setRetry(ms: number = RETRY_MS): void {
    this.#retryMs = Math.min(Math.max(ms, MIN_MS), MAX_ASKED_MS);
  }

  /** Resets the back-off after a success. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * Returns the wait before the next attempt, in milliseconds. After a success it is the
   * reconnection time, by which the service spreads its clients; then it doubles each time.
   *
   * @param askedMs Time that `Retry-After` asks for, in milliseconds; 0, less, `NaN` or
   *   absent for none. The back-off is added to it, since all clients are asked alike.
   */
  next(askedMs: number | undefined): number {
    const failures = this.#failures++;
    const asked = Math.min(Math.max(askedMs || 0, 0), MAX_ASKED_MS);
    if (!failures && !asked) return this.#retryMs;
    const backOff = Math.min(MAX_BACK_OFF_MS, Math.max(this.#retryMs, 5 * MIN_MS) * 2 ** failures);
    return asked + Math.max(this.#retryMs, backOff * (0.5 + this.#random() / 2));
  }
}
