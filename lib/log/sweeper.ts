/**
 * Deletes the segments of trimmed and cleared events in the background, so that
 * neither publishers nor readers wait for it.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import { segmentsBelow } from "./keys.ts";

/**
 * Maximum number of segments deleted in one commit. Deno KV takes 1,000 changes;
 * with fewer, other commits get their turn in between.
 */
const SWEEP_SIZE = 200;

/** Segments read at once: Deno KV's default of 100 would be 6 MiB at worst. */
const READ_SIZE = 64;

/** Sweeps all pipelines, one after the other. */
export class Sweeper {
  readonly #kv: KvConnection;
  readonly #runtime: Pick<Runtime, "report">;
  /** Pipelines to be swept, each with the sequence of the oldest event that stays. */
  readonly #below = new Map<string, number>();
  #sweeping: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @param runtime Reporter of deletions that failed. */
  constructor(kv: KvConnection, runtime: Pick<Runtime, "report">) {
    this.#kv = kv;
    this.#runtime = runtime;
  }

  /** Number of pipelines that are being swept or wait for it. */
  get size(): number {
    return this.#below.size;
  }

  /** Queues a pipeline, whose segments wholly below the sequence `oldest` are deleted. */
  add(pipeline: string, oldest: number): void {
    const waits = this.#below.has(pipeline);
    this.#below.set(pipeline, Math.max(oldest, this.#below.get(pipeline) ?? 0));
    if (!waits) this.#sweeping = this.#sweeping.then(() => this.#sweep(pipeline));
  }

  async #sweep(pipeline: string): Promise<void> {
    try {
      let deleted = SWEEP_SIZE;
      let below = 0;
      // The pipeline may be trimmed again during its sweep.
      while ((deleted === SWEEP_SIZE || below < this.#below.get(pipeline)!) && !this.#closed) {
        below = this.#below.get(pipeline)!;
        deleted = await this.#deleteSome(pipeline, below);
      }
    } catch (error) {
      // The next sweep of the pipeline starts from the beginning again.
      if (!this.#closed) this.#runtime.report(`Cannot sweep the log of ${pipeline}`, error);
    } finally {
      this.#below.delete(pipeline);
    }
  }

  /** Deletes the oldest segments wholly below a sequence, and returns their number. */
  async #deleteSome(pipeline: string, below: number): Promise<number> {
    const selector = segmentsBelow(pipeline, below);
    const options = { limit: SWEEP_SIZE, batchSize: READ_SIZE };
    return await this.#kv.call(async (kv) => {
      const operation = kv.atomic();
      let count = 0;
      for await (const { key } of kv.list(selector, options)) {
        operation.delete(key);
        count++;
      }
      if (count > 0) await operation.commit();
      return count;
    });
  }

  /**
   * Stops, and resolves when the deletion in flight has ended. The next trim of a
   * pipeline deletes the segments that are left.
   */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sweeping;
  }
}
