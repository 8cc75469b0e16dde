// @ts-check
/**
 * Keeps the newest of many things within fixed limits.
 *
 * @module
 */

/**
 * The newest items, as many as fit.
 *
 * @template T
 */
export class BoundedList {
  #maxItems;
  #maxWeight;
  #weigh;
  /** Those before `#start` are gone. @type {T[]} */
  #items = [];
  #start = 0;
  #weight = 0;

  /**
   * Makes an empty one.
   *
   * @param {number} maxItems How many items it keeps at most.
   * @param {number} maxWeight How much they weigh together at most; the newest is kept always.
   * @param {(item: T) => number} weigh What an item weighs.
   */
  constructor(maxItems, maxWeight, weigh) {
    this.#maxItems = maxItems;
    this.#maxWeight = maxWeight;
    this.#weigh = weigh;
  }

  /** How many items there are. @returns {number} */
  get size() {
    return this.#items.length - this.#start;
  }

  /**
   * Adds an item.
   *
   * @param {T} item The item.
   * @returns {T[]} The oldest items, which had to go for it.
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
    const gone = this.#items.slice(start, this.#start);
    // Moving all items for each that goes would cost more than the memory does.
    if (this.#start > this.size) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return gone;
  }

  /** Drops all items. */
  clear() {
    this.#items = [];
    this.#start = this.#weight = 0;
  }

  /** The items, newest first. @returns {Generator<T>} */
  *newestFirst() {
    for (let i = this.#items.length - 1; i >= this.#start; i--) {
      yield /** @type {T} */ (this.#items[i]);
    }
  }
}
