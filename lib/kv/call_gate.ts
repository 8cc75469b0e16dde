/**
 * A readers-writer lock for the calls of a connection: many at a time, or work that
 * needs the store for itself.
 *
 * @module
 */

import { type Clock, deadline } from "../base/mod.ts";

/** Gate that calls go through. */
export class CallGate {
  readonly #inFlight = new Set<Promise<unknown>>();
  /** Settles when the work that has the store for itself has ended. */
  #closed: Promise<void> | null = null;

  /** Calls a function: at once, or after the work that has the store for itself. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    while (this.#closed) await this.#closed;
    const made = call();
    this.#inFlight.add(made);
    try {
      return await made;
    } finally {
      this.#inFlight.delete(made);
    }
  }

  /**
   * Does work while no call is made. Calls that come meanwhile wait.
   *
   * @param ms Maximum time for the calls in flight to end, in milliseconds.
   * @throws {Error} If they do not end in time, or other work has the store.
   * @throws Whatever `work` throws.
   */
  async exclusive(clock: Clock, ms: number, work: () => Promise<void>): Promise<void> {
    if (this.#closed) throw new Error("Other work has the store for itself");
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    try {
      await deadline(
        clock,
        ms,
        Promise.allSettled(this.#inFlight),
        () => new Error(`Calls of the store did not end within ${ms} ms`),
      );
      await work();
    } finally {
      this.#closed = null;
      resolve();
    }
  }
}
