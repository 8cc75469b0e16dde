// @ts-check
/**
 * Event rates by the color of their channel over the last minutes.
 *
 * @module
 */

/** Counts the events of each name in each of the last intervals. */
export class Rates {
  #intervalMs;
  #intervals;
  /** Counts by name, by the number of the interval. @type {Map<number, Map<string, number>>} */
  #counts = new Map();

  /**
   * @param {number} intervalMs Length of an interval, in milliseconds.
   * @param {number} intervals Number of intervals that are kept.
   */
  constructor(intervalMs, intervals) {
    this.#intervalMs = intervalMs;
    this.#intervals = intervals;
  }

  /**
   * Counts an event.
   *
   * @param {string} name What the events are counted by, such as a channel or a color.
   * @param {number} time When it was published or arrived, in milliseconds since 1970.
   */
  add(name, time) {
    const interval = Math.floor(time / this.#intervalMs);
    let counts = this.#counts.get(interval);
    if (!counts) this.#counts.set(interval, counts = new Map());
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }

  /**
   * Reads the last intervals, and drops older ones.
   *
   * @param {number} now Current time, in milliseconds since 1970.
   * @returns {ReadonlyMap<string, number>[]} Events per second by name, oldest interval first.
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
    const newest = Math.floor(now / this.#intervalMs);
    const oldest = newest - this.#intervals + 1;
    for (const interval of this.#counts.keys()) {
      if (interval < oldest) this.#counts.delete(interval);
    }
    return Array.from({ length: this.#intervals }, (_, index) => {
      const counts = this.#counts.get(oldest + index) ?? new Map();
      return new Map([...counts].map(([name, count]) => [name, count * 1000 / this.#intervalMs]));
    });
  }
}
