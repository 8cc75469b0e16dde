// @ts-check
/**
 * Counts events by channel over the last minutes.
 *
 * @module
 */

/** How many events of each channel fell into each of the last stretches of time. */
export class Rates {
  #bucketMs;
  #buckets;
  /** By the number of its stretch: counts by channel. @type {Map<number, Map<string, number>>} */
  #counts = new Map();

  /**
   * Makes an empty one.
   *
   * @param {number} bucketMs The length of a stretch in milliseconds.
   * @param {number} buckets How many stretches are kept.
   */
  constructor(bucketMs, buckets) {
    this.#bucketMs = bucketMs;
    this.#buckets = buckets;
  }

  /**
   * Counts an event.
   *
   * @param {string} channel The event's channel.
   * @param {number} time When it happened.
   */
  add(channel, time) {
    const bucket = Math.floor(time / this.#bucketMs);
    let counts = this.#counts.get(bucket);
    if (!counts) this.#counts.set(bucket, counts = new Map());
    counts.set(channel, (counts.get(channel) ?? 0) + 1);
  }

  /**
   * The last stretches.
   *
   * @param {number} now The time now.
   * @returns {ReadonlyMap<string, number>[]} Events per second by channel, oldest stretch first.
   *
   * @example
   * ```ts
   * import { deepStrictEqual as deepEqual } from "node:assert/strict";
   *
   * const rates = new Rates(5000, 2);
   * for (let i = 0; i < 10; i++) rates.add("orders", 5000 + i);
   * deepEqual(rates.read(9000), [new Map(), new Map([["orders", 2]])]);
   * ```
   */
  read(now) {
    const newest = Math.floor(now / this.#bucketMs);
    for (const bucket of this.#counts.keys()) {
      if (bucket <= newest - this.#buckets) this.#counts.delete(bucket);
    }
    return Array.from({ length: this.#buckets }, (_, index) => {
      const counts = this.#counts.get(newest - this.#buckets + 1 + index) ?? new Map();
      return new Map([...counts].map(([name, count]) => [name, count * 1000 / this.#bucketMs]));
    });
  }
}
