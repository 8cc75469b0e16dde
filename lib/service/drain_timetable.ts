/**
 * The deadlines of a drain, in milliseconds after the signal. Each step begins
 * as soon as the one before has ended; the numbers are the latest times.
 *
 * ```text
 *     0  the signal: new work is refused, publishes in flight are awaited
 *   250  not before that, connections are closed (LAST_REQUESTS_MS)
 * 2,500  publishes are answered outcome-unknown (PUBLISHES_MS)
 *     │  isolates: each waits until no other one publishes
 * 2,700  isolates are not waited for any more (ISOLATES_STOP_PUBLISHING_MS)
 *     │  isolates: each reads the last events, for 300 ms at most (CATCH_UP_MS)
 *     │  streams get their last events and their end; connections are awaited
 * 4,000  connections are left open (CONNECTIONS_MS)
 *     │  the log is closed
 * 4,200  isolates: those that are left are terminated (ISOLATES_MS)
 * 4,500  the process exits, whatever is open (EXIT_MS)
 * 5,000  a platform kills the process
 * ```
 *
 * An isolate measures from the command to drain, which it gets at the signal.
 *
 * @module
 */

import type { Clock } from "../base/mod.ts";

/** Time at which publishes in flight are not awaited any more. */
export const PUBLISHES_MS = 2500;

/**
 * Time until which requests are answered, if only with a refusal, in any case:
 * the answer tells clients that keep a connection to leave it.
 */
export const LAST_REQUESTS_MS = 250;

/** Time at which isolates that may still publish are not awaited any more. */
export const ISOLATES_STOP_PUBLISHING_MS = 2700;

/** Time at which open connections are not awaited any more. */
export const CONNECTIONS_MS = 4000;

/** Time at which isolates that have not ended are terminated. */
export const ISOLATES_MS = 4200;

/** Time at which the process exits. */
export const EXIT_MS = 4500;

/** Duration that an isolate may read the last events of the others; not a time after the signal. */
export const CATCH_UP_MS = 300;

/**
 * A deadline that several steps share: its time runs from its construction, at
 * the signal, however long the steps before took.
 */
export class DrainDeadline implements Disposable {
  readonly #timer: Disposable;
  readonly #passed = Promise.withResolvers<void>();

  constructor(clock: Clock, ms: number) {
    this.#timer = clock.after(ms, this.#passed.resolve);
  }

  /**
   * Waits for work, but not beyond the deadline. Returns whether the work was done by then,
   * and rejects if the work does before.
   */
  wait(work: Promise<unknown>): Promise<boolean> {
    return Promise.race([work.then(() => true), this.#passed.promise.then(() => false)]);
  }

  /** Stops the timer. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
