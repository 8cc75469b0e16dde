/**
 * Turns of the event loop for work that is ready at once.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** Spreads work over turns of the event loop, first come, first served. */
export class Turns {
  readonly #clock: Pick<Clock, "nextTurn">;
  readonly #size: number;
  readonly #waiting: (() => void)[] = [];
  #isScheduled = false;

  /**
   * @param clock Clock used for the turns.
   * @param size Number of works in a turn.
   */
  constructor(clock: Pick<Clock, "nextTurn">, size: number) {
    this.#clock = clock;
    this.#size = size;
  }

  /** Resolves in the first of the next turns that has room for one more work. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isScheduled) this.#schedule();
    });
  }

  #schedule(): void {
    this.#isScheduled = true;
    this.#clock.nextTurn(() => {
      this.#isScheduled = false;
      for (const resolve of this.#waiting.splice(0, this.#size)) resolve();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }
}
