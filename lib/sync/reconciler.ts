/**
 * The safety net: compares each live pipeline with the log now and then, spread
 * evenly over a period.
 *
 * @module
 */

import { chunk, type Runtime, Semaphore } from "../base/mod.ts";
import { MAX_KEYS } from "../kv/mod.ts";
import type { Head } from "../log/mod.ts";

/** How often some of the pipelines are compared, in milliseconds. */
const STEP_MS = 1000;

/** Reads that are under way at once. */
const MAX_READS = 4;

/** What a {@linkcode Reconcile} works with. */
export interface ReconcileOptions {
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** After how long each pipeline is compared again, in milliseconds. */
  periodMs: number;
  /** The pipelines that are live now. */
  pipelines: () => Iterable<string>;
  /** Reads the heads of some pipelines. */
  heads: (pipelines: readonly string[]) => Promise<(Head | null)[]>;
  /** Hears of each head that was read. */
  onHead: (pipeline: string, head: Head | null) => void;
}

/** Compares pipelines with the log. */
export class Reconcile implements Disposable {
  readonly #options: ReconcileOptions;
  readonly #semaphore = new Semaphore(MAX_READS);
  readonly #timer: Disposable;
  /** Pipelines of this round that are still to be compared. */
  #round: string[] = [];
  /** How many a round has. */
  #size = 0;
  /** Pipelines times milliseconds that are due: whole numbers, so that no rounding delays one. */
  #due = 0;

  /**
   * Begins to compare.
   *
   * @param options What it works with.
   */
  constructor(options: ReconcileOptions) {
    this.#options = options;
    this.#timer = options.runtime.clock.every(STEP_MS, () => this.#step());
  }

  #step(): void {
    const { pipelines, periodMs } = this.#options;
    if (this.#round.length === 0) {
      this.#round = [...pipelines()];
      this.#size = this.#round.length;
    }
    this.#due = Math.min(this.#round.length * periodMs, this.#due + this.#size * STEP_MS);
    const now = this.#round.splice(0, Math.floor(this.#due / periodMs));
    this.#due -= now.length * periodMs;
    for (const some of chunk(now, MAX_KEYS)) this.#compare(some);
  }

  async #compare(pipelines: readonly string[]): Promise<void> {
    const { heads, onHead, runtime } = this.#options;
    try {
      const found = await this.#semaphore.run(() => heads(pipelines));
      pipelines.forEach((pipeline, index) => onHead(pipeline, found[index]!));
    } catch (error) {
      // They are compared again with the next step.
      this.#round.unshift(...pipelines);
      runtime.report("Cannot compare pipelines with the log", error);
    }
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
