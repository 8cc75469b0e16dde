/**
 * Removes the bytes of deleted events from the file of the store, some seconds after
 * the last deletion. A record keeps the wish if the process ends before that.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import { ERASE_KEY } from "./keys.ts";

/** Time after the first deletion, in milliseconds: those that follow soon are erased with it. */
const DELAY_MS = 10_000;

/** Time after which an erasing that failed is tried again, in milliseconds. */
const RETRY_MS = 60_000;

/** Part of the time that calls of the log may wait for erasing: 1 in so many. */
const PAUSES = 100;

/** Options for {@linkcode Eraser}. */
export interface EraserOptions {
  /** The store. */
  kv: KvConnection;
  /**
   * Erases the file that no connection has open. Returns false if there is too much
   * in it to do so between two calls.
   */
  erase: () => Promise<boolean>;
  /** Whether all deleted records are removed from the store. */
  isSwept: () => boolean;
  /** Clock for the delay, and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
}

/** Eraser of the file of a store. */
export class Eraser {
  readonly #options: EraserOptions;
  #timer: Disposable | null = null;
  #running: Promise<void> = Promise.resolve();
  /** Earliest time of the next erasing, in milliseconds of the monotonic clock. */
  #notBefore = 0;
  #isTooLargeReported = false;
  #closed = false;

  /** Takes up what was deleted before the process was started. */
  constructor(options: EraserOptions) {
    this.#options = options;
    this.#running = this.#takeUp();
  }

  async #takeUp(): Promise<void> {
    try {
      const { value } = await this.#options.kv.call((kv) => kv.get(ERASE_KEY));
      if (value) this.#schedule(DELAY_MS);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Notes that something was deleted. Never rejects. */
  async request(): Promise<void> {
    if (this.#timer || this.#closed) return;
    this.#schedule(DELAY_MS);
    try {
      await this.#options.kv.call((kv) => kv.atomic().set(ERASE_KEY, true).commit());
    } catch (error) {
      this.#report(error);
    }
  }

  #schedule(ms: number): void {
    if (this.#closed) return;
    const { clock } = this.#options.runtime;
    const wait = Math.max(ms, this.#notBefore - clock.monotonic());
    this.#timer?.[Symbol.dispose]();
    this.#timer = clock.after(wait, () => {
      this.#timer = null;
      if (!this.#options.isSwept()) this.#schedule(DELAY_MS);
      else this.#running = this.#running.then(() => this.#erase());
    });
  }

  async #erase(): Promise<void> {
    if (this.#closed) return;
    const { kv, erase, runtime: { clock, report } } = this.#options;
    const started = clock.monotonic();
    try {
      let isErased = false;
      await kv.exclusive(async () => {
        isErased = await erase();
      });
      // What was deleted meanwhile is still to be erased.
      if (!this.#timer) await kv.call((kv) => kv.atomic().delete(ERASE_KEY).commit());
      if (!isErased && !this.#isTooLargeReported) {
        this.#isTooLargeReported = true;
        report(
          "The text of deleted events stays in the file of the log, which is too large to be " +
            "compacted while the service runs. Stop it and run `deno task compact`",
        );
      }
    } catch (error) {
      this.#report(error);
      this.#schedule(RETRY_MS);
    }
    this.#notBefore = clock.monotonic() + PAUSES * (clock.monotonic() - started);
  }

  #report(error: unknown): void {
    if (this.#closed) return;
    this.#options.runtime.report("Cannot remove deleted events from the file of the log", error);
  }

  /** Stops, and resolves when the erasing in progress has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    await this.#running;
  }
}
