/**
 * Tells the operator that connections cannot be accepted, and that they can be again.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";

/** Minimum time between two messages about errors, in milliseconds. */
const QUIET_MS = 60_000;

/** Time without an error after which all connections are accepted again, in milliseconds. */
const STEADY_MS = 10_000;

/** Health of accepting, as its errors show it. Disposing of it ends the messages. */
export class AcceptHealth implements Disposable {
  readonly #runtime: Pick<Runtime, "clock" | "report">;
  /** Times of the first and the last error, and their number; `null` while there is none. */
  #outage: { since: number; last: number; errors: number } | null = null;
  /** Runs until the next message about an error is allowed. */
  #quiet: Disposable | null = null;
  #steady: Disposable | null = null;
  #isClosed = false;

  /** @param runtime Clock of the durations, and reporter. */
  constructor(runtime: Pick<Runtime, "clock" | "report">) {
    this.#runtime = runtime;
  }

  /** Counts an error of accepting. */
  failed(error: unknown): void {
    if (this.#isClosed) return;
    const { clock, report } = this.#runtime;
    const now = clock.monotonic();
    this.#outage ??= { since: now, last: now, errors: 0 };
    this.#outage.last = now;
    this.#outage.errors++;
    this.#steady?.[Symbol.dispose]();
    this.#steady = clock.after(STEADY_MS, () => {
      this.#steady = null;
      this.#endOutage();
    });
    if (this.#quiet) return;
    this.#quiet = clock.after(QUIET_MS, () => {
      this.#quiet = null;
      this.#endOutage();
    });
    report(
      "Cannot accept connections for a moment. Those without a request are closed, others go on. " +
        "If this repeats, allow the process more open files, or let a proxy limit connections",
      error,
    );
  }

  /** Reports the end once both timers are over: errors that come and go are one outage. */
  #endOutage(): void {
    if (!this.#outage || this.#quiet || this.#steady) return;
    const { since, last, errors } = this.#outage;
    this.#outage = null;
    this.#runtime.report("Accepts all connections again", undefined, {
      level: "info",
      fields: { seconds: Math.round((last - since) / 1000), errors },
    });
  }

  /** Ends the timers, and reports nothing more. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#quiet?.[Symbol.dispose]();
    this.#steady?.[Symbol.dispose]();
  }
}
