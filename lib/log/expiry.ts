/**
 * Deletes pipelines that were not written for long and have no subscribers: a slow
 * walk over all heads, off the way of publishers and subscribers. Any number of
 * processes may walk at once.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import { type Head, isDeleted, lastUse } from "./head.ts";
import { HEADS } from "./keys.ts";
import { LEASE_MS } from "./deletions.ts";

/** Heads read at once, and the pause between two reads, in milliseconds. */
const PAGE_SIZE = 200;
const PAGE_PAUSE_MS = 1000;

/**
 * Time before the first walk, in milliseconds: subscribers come back after a
 * start, and a wrong clock is set.
 */
const FIRST_PAUSE_MS = 10 * 60 * 1000;

/** Pause between two walks, in milliseconds. */
const WALK_PAUSE_MS = 6 * 60 * 60 * 1000;

/** Step of the wall clock from which on it is not believed at once, in milliseconds. */
const MAX_CLOCK_STEP_MS = 60 * 60 * 1000;

/** Options for {@linkcode Expiry}. */
export interface ExpiryOptions {
  /** The store. */
  kv: KvConnection;
  /** Clock, and reporter of walks that failed. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Age at which a pipeline expires, in milliseconds; `Infinity` for never. */
  expireMs: number;
  /** Deletes a pipeline if its head, as it is then, is due. */
  remove: (pipeline: string, isDue: (head: Head) => boolean) => Promise<unknown>;
}

/** Walks over the heads of a store until it is disposed. */
export class Expiry implements Disposable {
  readonly #options: ExpiryOptions;
  #timer: Disposable;
  /** The pipeline after which the walk goes on; `null` between two walks. */
  #cursor: string | null = null;
  /** Wall clock minus monotonic clock, by which a step of the wall clock shows. */
  #offset: number;
  #closed = false;

  constructor(options: ExpiryOptions) {
    const { clock } = options.runtime;
    this.#options = options;
    this.#offset = clock.now() - clock.monotonic();
    this.#timer = clock.after(FIRST_PAUSE_MS, () => this.#step());
  }

  async #step(): Promise<void> {
    const { clock, report } = this.#options.runtime;
    let pauseMs = WALK_PAUSE_MS;
    try {
      if (this.#isClockSteady() && await this.#readPage()) pauseMs = PAGE_PAUSE_MS;
    } catch (error) {
      if (!this.#closed) report("Cannot look for pipelines that have expired", error);
      this.#cursor = null;
    }
    if (!this.#closed) this.#timer = clock.after(pauseMs, () => this.#step());
  }

  /** Whether the wall clock was not set since the last step, on which nothing is deleted at once. */
  #isClockSteady(): boolean {
    const { clock } = this.#options.runtime;
    const offset = clock.now() - clock.monotonic();
    const isSteady = Math.abs(offset - this.#offset) < MAX_CLOCK_STEP_MS;
    this.#offset = offset;
    return isSteady;
  }

  /** Deletes what is due on the next page. Returns whether there is another one. */
  async #readPage(): Promise<boolean> {
    const { kv, runtime: { clock }, remove, expireMs } = this.#options;
    const selector = this.#cursor === null
      ? { prefix: HEADS }
      : { prefix: HEADS, start: [...HEADS, this.#cursor] };
    const page = await kv.call((kv) => {
      return Array.fromAsync(kv.list<Head>(selector, { limit: PAGE_SIZE + 1 }));
    });
    const isDue = (head: Head) => {
      return clock.now() - lastUse(head) > (isDeleted(head) ? LEASE_MS : expireMs);
    };
    for (const { key, value } of page.slice(0, PAGE_SIZE)) {
      if (this.#closed) return false;
      if (isDue(value)) await remove(key[1] as string, isDue);
    }
    this.#cursor = page[PAGE_SIZE]?.key[1] as string ?? null;
    return this.#cursor !== null;
  }

  /** Ends the walk. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer[Symbol.dispose]();
  }
}
