/**
 * The place of a log for its listener: a second one must not silently replace
 * the first, and nothing may vanish because the listener is missing.
 *
 * @module
 */

/** Holds the only listener of a log. */
export class ListenerSlot<Listener> {
  #listener: Listener | null = null;

  /**
   * The listener.
   *
   * @throws {Error} If the log has no listener.
   */
  get listener(): Listener {
    if (!this.#listener) throw new Error("the log has no listener");
    return this.#listener;
  }

  /**
   * Sets the listener until the result is disposed.
   *
   * @throws {Error} If there is one already.
   */
  set(listener: Listener): Disposable {
    if (this.#listener) throw new Error("Cannot listen to the log: it has a listener already");
    this.#listener = listener;
    return {
      [Symbol.dispose]: () => {
        if (this.#listener === listener) this.#listener = null;
      },
    };
  }
}
