/**
 * A turn of the event loop that many wait for together.
 *
 * @module
 */

/** Lets all that wait in one turn of the event loop go on together, in the next. */
export class SharedTurn {
  readonly #nextTurn: (run: () => void) => void;
  #next: Promise<void> | null = null;

  /** @param nextTurn Runs a function in the next turn. @default {setImmediate} */
  constructor(nextTurn: (run: () => void) => void = setImmediate) {
    this.#nextTurn = nextTurn;
  }

  /** Resolves in the next turn. */
  wait(): Promise<void> {
    return this.#next ??= new Promise((resolve) => {
      this.#nextTurn(() => {
        this.#next = null;
        resolve();
      });
    });
  }
}
