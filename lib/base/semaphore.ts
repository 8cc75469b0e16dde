/**
 * A counting semaphore for limiting concurrent work.
 *
 * @module
 */

import { RunnelError } from "./errors.ts";

/** A counting semaphore: work beyond its permits waits, first come, first served. */
export class Semaphore {
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #permits: number;

  /**
   * @param permits Maximum number of works in progress.
   * @param maxWaiting Maximum number of works that wait for a permit.
   */
  constructor(permits: number, maxWaiting: number = Infinity) {
    this.#permits = permits;
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Runs work once there is a permit for it.
   *
   * @throws {RunnelError} `overloaded` if too many wait.
   * @throws Whatever `work` throws.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#permits > 0) {
      this.#permits--;
    } else if (this.#waiting.length < this.#maxWaiting) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      throw new RunnelError("overloaded", "Cannot do this now: too many wait for it. Try again");
    }
    try {
      return await work();
    } finally {
      // The permit is handed on, so that no other work slips in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#permits++;
    }
  }
}
