/**
 * Deletes what the log gave up, off the path of publishers and readers.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import { segmentsBelow } from "./keys.ts";

/** Segments deleted in one commit: Deno KV takes 1,000 changes, and this takes turns. */
const SWEEP_SIZE = 200;

/** Keys fetched at once: Deno KV's own choice, 100, would be 6 MiB of segments at worst. */
const READ_SIZE = 64;

/** The sweep of all pipelines, one after the other. */
export class Sweeper {
  readonly #kv: KvConnection;
  readonly #runtime: Pick<Runtime, "report">;
  /** Pipelines to be swept, each with the sequence below which nothing stays. */
  readonly #below = new Map<string, number>();
  #sweeping: Promise<unknown> = Promise.resolve();
  #closed = false;

  /**
   * Makes a sweep with nothing to do.
   *
   * @param kv The store.
   * @param runtime Reporter of deletions that failed.
   */
  constructor(kv: KvConnection, runtime: Pick<Runtime, "report">) {
    this.#kv = kv;
    this.#runtime = runtime;
  }

  /** How many pipelines are being swept or wait for it. */
  get size(): number {
    return this.#below.size;
  }

  /**
   * Has the segments below a sequence deleted, soon.
   *
   * @param pipeline Whose.
   * @param oldest The sequence of the oldest event that stays.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   * import { systemRuntime as runtime } from "../base/mod.ts";
   * import { KvConnection } from "../kv/mod.ts";
   *
   * const open = () => Deno.openKv(":memory:");
   * using kv = await KvConnection.open({ open, runtime, timeoutMs: 3000, replace: false });
   * const sweeper = new Sweeper(kv, runtime);
   * sweeper.add("p_aBcDeF", 8);
   * equal(sweeper.size, 1);
   * await sweeper.close();
   * ```
   */
  add(pipeline: string, oldest: number): void {
    const waits = this.#below.has(pipeline);
    this.#below.set(pipeline, Math.max(oldest, this.#below.get(pipeline) ?? 0));
    if (!waits) this.#sweeping = this.#sweeping.then(() => this.#sweep(pipeline));
  }

  async #sweep(pipeline: string): Promise<void> {
    try {
      let deleted = SWEEP_SIZE;
      let below = 0;
      // Another trim may come while this one is swept.
      while ((deleted === SWEEP_SIZE || below < this.#below.get(pipeline)!) && !this.#closed) {
        below = this.#below.get(pipeline)!;
        deleted = await this.#deleteSome(pipeline, below);
      }
    } catch (error) {
      // The next trim of the pipeline sweeps from the beginning again.
      if (!this.#closed) this.#runtime.report(`Cannot sweep the log of ${pipeline}`, error);
    } finally {
      this.#below.delete(pipeline);
    }
  }

  /** Deletes the oldest segments below a sequence, and returns how many. */
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

  /** Stops: a deletion under way is heard to its end. What is left, the next trim deletes. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sweeping;
  }
}
