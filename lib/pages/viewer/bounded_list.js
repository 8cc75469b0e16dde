// @ts-check
/**
 * A list that keeps its newest items within fixed limits.
 *
 * @module
 */

/**
 * A list that drops its oldest items when they are too many or too heavy together.
 *
 * @template T
 */
export class BoundedList {
  #maxItems;
  #maxWeight;
  #weigh;
  /** Items before `#start` are dropped. @type {T[]} */
  #items = [];
  #start = 0;
  #weight = 0;

  /**
   * @param {number} maxItems
   * @param {number} maxWeight Maximum total weight. The newest item is kept even if it is heavier.
   * @param {(item: T) => number} weigh Returns the weight of an item.
   */
  constructor(maxItems, maxWeight, weigh) {
    this.#maxItems = maxItems;
    this.#maxWeight = maxWeight;
    this.#weigh = weigh;
  }

  /** Number of items. @returns {number} */
  get size() {
    return this.#items.length - this.#start;
  }

  /**
   * Adds an item.
   *
   * @param {T} item
   * @returns {T[]} The oldest items, which were dropped for it.
   *
   * @example
   * ```ts
   * import { deepStrictEqual as deepEqual } from "node:assert/strict";
   *
   * const list = new BoundedList<string>(2, 100, (text) => text.length);
   * list.push("a");
   * list.push("b");
   * deepEqual(list.push("c"), ["a"]);
   * deepEqual([...list.newestFirst()], ["c", "b"]);
   * ```
   */
  push(item) {
    this.#items.push(item);
    this.#weight += this.#weigh(item);
    const start = this.#start;
    while (this.size > 1 && (this.size > this.#maxItems || this.#weight > this.#maxWeight)) {
      this.#weight -= this.#weigh(/** @type {T} */ (this.#items[this.#start++]));
    }
    const dropped = this.#items.slice(start, this.#start);
    // To move all items for each dropped one would cost more than the memory does.
    if (this.#start > this.size) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return dropped;
  }

  /** Drops all items. */
  clear() {
    this.#items = [];
    this.#start = this.#weight = 0;
  }

  /** Iterates over the items, newest first. @returns {Generator<T>} */
  *newestFirst() {
    for (let i = this.#items.length - 1; i >= this.#start; i--) {
      yield /** @type {T} */ (this.#items[i]);
    }
  }
}
