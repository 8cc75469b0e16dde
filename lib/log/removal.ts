/**
 * Removal of events: clears and deletes pipelines, on request or because they have expired, and
 * removes what is left of them in the background.
 *
 * @module
 */

import type { Change } from "./commit.ts";
import { Deletions } from "./deletions.ts";
import { Eraser } from "./eraser.ts";
import type { EventLogOptions } from "./event_log_options.ts";
import { Expiry } from "./expiry.ts";
import type { Head } from "./head.ts";
import type { HeadStore } from "./head_store.ts";
import type { Sweeper } from "./sweeper.ts";
import type { HeadReader } from "./unwritten.ts";

/** Options for {@linkcode Removal}. */
export interface RemovalOptions
  extends Pick<EventLogOptions, "kv" | "runtime" | "timeoutMs" | "erase" | "upkeep"> {
  /** The heads, where each removal begins. */
  heads: Pick<HeadStore, "clear" | "delete">;
  /** Reader of the heads. */
  headReader: HeadReader;
  /** Deletes cleared segments. It is closed with the removal. */
  sweeper: Sweeper;
  /** Called with each removal, before the caller that asked for it is answered. */
  onChange: (change: Change) => void;
}

/** Removal of events from all pipelines of a store. */
export class Removal {
  readonly #options: RemovalOptions;
  readonly #deletions: Deletions;
  readonly #eraser: Eraser | null = null;
  readonly #expiry: Expiry | null = null;

  /** Takes up what was deleted before the process was started. */
  constructor(options: RemovalOptions) {
    this.#options = options;
    this.#deletions = new Deletions(options);
    const { erase, upkeep } = options;
    if (erase) {
      const isSwept = () => this.pending === 0;
      this.#eraser = new Eraser({ ...options, erase, isSwept });
    }
    if (!upkeep) return;
    this.#deletions.wake();
    this.#expiry = new Expiry({
      ...options,
      ...upkeep,
      remove: (pipeline, isDue) => this.#delete(pipeline, isDue),
    });
  }

  /**
   * Number of pipelines to be swept, with one more while the remains of deleted
   * pipelines are removed.
   */
  get pending(): number {
    return this.#options.sweeper.size + (this.#deletions.busy ? 1 : 0);
  }

  /**
   * Clears the history of a pipeline. Sequences go on and the epoch stays, so
   * that a subscriber that reconnects learns how many events it missed.
   *
   * @returns The head after the clear, or `null` if there is no log of that pipeline.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async clear(pipeline: string): Promise<Head | null> {
    const { heads, sweeper, onChange } = this.#options;
    const head = await heads.clear(pipeline);
    if (head) onChange({ pipeline, epoch: head.epoch, oldest: head.oldest });
    // Even if it was clear before: the sweep of that clear may have failed.
    if (head) sweeper.add(pipeline, head.epoch, head.oldest);
    if (head) await this.#eraser?.request();
    return head;
  }

  /**
   * Deletes a pipeline with all its records. Its subscribers receive a gap, and go
   * on in a new epoch. What is left is removed in the background, also after a crash.
   *
   * @returns The head after the deletion, or `null` if the pipeline has no event.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  delete(pipeline: string): Promise<Head | null> {
    return this.#delete(pipeline, () => true);
  }

  async #delete(pipeline: string, isDue: (head: Head) => boolean): Promise<Head | null> {
    const { heads, onChange } = this.#options;
    const head = await heads.delete(pipeline, isDue);
    if (head) onChange({ pipeline, epoch: head.epoch, oldest: head.oldest });
    if (head) this.#deletions.wake();
    if (head) await this.#eraser?.request();
    return head;
  }

  /** Removes nothing more, and resolves when what is in progress has ended. */
  async close(): Promise<void> {
    this.#expiry?.[Symbol.dispose]();
    await Promise.all([
      this.#options.sweeper.close(),
      this.#deletions.close(),
      this.#eraser?.close(),
    ]);
  }
}
