/**
 * Reconciliation, the safety net: compares each live pipeline with the log,
 * spread evenly over a period.
 *
 * @module
 */

import { chunk, type Runtime, Semaphore } from "../base/mod.ts";
import { MAX_KEYS } from "../kv/mod.ts";
import type { Head } from "../log/mod.ts";

/** Interval between two steps, each of which compares some of the pipelines, in milliseconds. */
const STEP_MS = 1000;

/** Maximum number of reads in flight. */
const MAX_READS = 4;

/** Options for {@linkcode Reconciler}. */
export interface ReconcilerOptions {
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Period after which each pipeline is compared again, in whole steps, in milliseconds. */
  periodMs: number;
  /** Returns the pipelines that are live now. */
  pipelines: () => Iterable<string>;
  /** Reads the heads of some pipelines. */
  heads: (pipelines: readonly string[]) => Promise<(Head | null)[]>;
  /** Called with each head that was read. */
  onHead: (pipeline: string, head: Head | null) => void;
}

/** Compares pipelines with the log, round by round, until it is disposed. */
export class Reconciler implements Disposable {
  readonly #options: ReconcilerOptions;
  readonly #semaphore = new Semaphore(MAX_READS);
  readonly #timer: Disposable;
  /** Pipelines of this round that are still to be compared. */
  #round: string[] = [];
  #stepsLeft = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#timer = options.runtime.clock.every(STEP_MS, () => this.#step());
  }

  async #step(): Promise<void> {
    const { pipelines, periodMs } = this.#options;
    if (this.#stepsLeft === 0) {
      this.#round = [...pipelines()];
      this.#stepsLeft = periodMs / STEP_MS;
    }
    // Rounded down: a pipeline that was live for less than a period need not be read.
    const count = Math.floor(this.#round.length / this.#stepsLeft--);
    const due = this.#round.splice(0, count);
    const reads = chunk(due, MAX_KEYS).map((pipelines) => this.#compare(pipelines));
    const failed = (await Promise.all(reads)).flat();
    if (failed.length === 0) return;
    // The step is repeated, so that what was not compared does not pile up.
    this.#round.unshift(...failed);
    this.#stepsLeft++;
  }

  /** Returns the pipelines whose heads could not be read. */
  async #compare(pipelines: readonly string[]): Promise<readonly string[]> {
    const { heads, onHead, runtime } = this.#options;
    try {
      const found = await this.#semaphore.run(() => heads(pipelines));
      pipelines.forEach((pipeline, index) => onHead(pipeline, found[index]!));
      return [];
    } catch (error) {
      runtime.report("Cannot compare pipelines with the log", error);
      return pipelines;
    }
  }

  /** Starts no more reads. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
