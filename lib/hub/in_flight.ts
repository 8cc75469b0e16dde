/**
 * The publishes in flight in an isolate, for a drain to wait for.
 *
 * @module
 */

import { type Clock, RunnelError } from "../base/mod.ts";
import type { Receipt } from "../log/mod.ts";

/** Publishes whose answer is still to come. */
export class InFlightPublishes {
  /** Rejects the promise of each publish in flight. */
  readonly #refusals = new Set<(error: RunnelError) => void>();
  #onIdle = () => {};

  /** Number of publishes in flight. */
  get size(): number {
    return this.#refusals.size;
  }

  /**
   * Counts a publish as in flight until it settles. The result settles like it,
   * unless {@linkcode InFlightPublishes.end} rejects it first.
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
    // The publisher first: a drain goes on when the last has left.
    publish.then((receipt) => {
      resolve(receipt);
      leave();
    }, (error) => {
      reject(error);
      leave();
    });
    return promise;
  }

  /**
   * Waits for the publishes in flight, and rejects those that take longer with
   * `outcome-unknown`: their events may still be stored.
   *
   * @param ms Longest wait, in milliseconds.
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
