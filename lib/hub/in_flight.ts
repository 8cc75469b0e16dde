/**
 * The publishes under way in an isolate that may have to end before they do.
 *
 * @module
 */

import { type Clock, RunnelError } from "../base/mod.ts";
import type { Receipt } from "../log/mod.ts";

/** The publishes in flight. */
export class InFlightPublishes {
  /** What ends the waiting of each. */
  readonly #refusals = new Set<(error: RunnelError) => void>();
  #onIdle = () => {};

  /** How many are under way. */
  get size(): number {
    return this.#refusals.size;
  }

  /**
   * Counts a publish as under way until it is over.
   *
   * @param publish What the log answers to it.
   * @returns The same answer, unless {@linkcode InFlightPublishes.end} comes before it.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   *
   * const publishes = new InFlightPublishes();
   * const receipt = { epoch: "AAECAwQFBgc", first: 1, count: 1, replayed: false };
   * equal((await publishes.add(Promise.resolve(receipt))).first, 1);
   * equal(publishes.size, 0);
   * ```
   */
  add(publish: Promise<Receipt>): Promise<Receipt> {
    const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
    this.#refusals.add(reject);
    const leave = () => {
      this.#refusals.delete(reject);
      if (this.#refusals.size === 0) this.#onIdle();
    };
    publish.then(resolve, reject);
    publish.then(leave, leave);
    return promise;
  }

  /**
   * Waits for publishes under way, and refuses those that take longer: what
   * becomes of them is not known.
   *
   * @param clock Whose time it is.
   * @param ms How long to wait, in milliseconds.
   */
  async end(clock: Clock, ms: number): Promise<void> {
    if (this.#refusals.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    using _timer = clock.after(ms, resolve);
    await promise;
    for (const refuse of this.#refusals) {
      refuse(
        new RunnelError(
          "outcome-unknown",
          "Cannot confirm the publish: this instance is about to end, and the events may have been " +
            "stored. Publish them again with the same Idempotency-Key, and they are stored once",
        ),
      );
    }
    this.#refusals.clear();
  }
}
