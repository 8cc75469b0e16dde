/**
 * Tells the operator once that a store fails, and once that it works again.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";

/**
 * Time without a failed call after which a store works again, in milliseconds. A full disk
 * fails writes while reads go on.
 */
const QUIET_MS = 5000;

/**
 * Time without a failed call after which nothing is known of a store that nobody calls, in
 * milliseconds.
 */
const KNOWN_MS = 120_000;

/** Health of a store, as its calls show it. */
export class CallHealth {
  readonly #runtime: Pick<Runtime, "clock" | "report">;
  /** Times of the first and the last failed call; `null` while the store works. */
  #failing: { since: number; last: number } | null = null;

  /** @param runtime Clock of the durations, and reporter. */
  constructor(runtime: Pick<Runtime, "clock" | "report">) {
    this.#runtime = runtime;
  }

  /** Time since calls began to fail, in milliseconds; 0 while they are answered. */
  get outageMs(): number {
    if (!this.#failing) return 0;
    const now = this.#runtime.clock.monotonic();
    return now - this.#failing.last < KNOWN_MS ? now - this.#failing.since : 0;
  }

  /** Counts a call that failed, or whose deadline has passed. */
  failed(error: unknown): void {
    // Another connection was faster. The caller tries again.
    if (error instanceof Error && error.message.includes("database is locked")) return;
    const now = this.#runtime.clock.monotonic();
    if (this.#failing) this.#failing.last = now;
    else {
      this.#failing = { since: now, last: now };
      this.#runtime.report("The store of the log fails", error);
    }
  }

  /** Counts a call that was answered. */
  answered(): void {
    if (!this.#failing) return;
    const now = this.#runtime.clock.monotonic();
    const { since, last } = this.#failing;
    if (now - last < QUIET_MS) return;
    this.#failing = null;
    const seconds = Math.round((now - since) / 1000);
    this.#runtime.report("The store of the log works again", undefined, {
      level: "info",
      fields: { seconds },
    });
  }
}
