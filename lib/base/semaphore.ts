/**
 * Lets only so many do something at once.
 *
 * @module
 */

import { RunnelError } from "./errors.ts";

/** A number of places, taken in turn. */
export class Turns {
  readonly #places: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /**
   * Makes free places.
   *
   * @param places How many may be at it at once.
   * @param maxWaiting How many may wait for a place.
   */
  constructor(places: number, maxWaiting: number = Infinity) {
    this.#places = places;
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Does some work once there is a place.
   *
   * @param work What is done.
   * @returns What `work` returns.
   * @throws {RunnelError} `overloaded` if too many wait.
   * @throws Whatever `work` throws.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   *
   * equal(await new Turns(1).run(() => Promise.resolve(7)), 7);
   * ```
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken < this.#places) {
      this.#taken++;
    } else if (this.#waiting.length < this.#maxWaiting) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      throw new RunnelError("overloaded", "Cannot do this now: too many wait for it. Try again");
    }
    try {
      return await work();
    } finally {
      // The place is handed on, so that nobody slips in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken--;
    }
  }
}
