/**
 * Deletes the segments of trimmed and cleared events in the background, so that
 * neither publishers nor readers wait for it.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { Head } from "./head.ts";
import { headKey, segmentsBelow } from "./keys.ts";
import type { HeadReader } from "./unwritten.ts";

/**
 * Maximum number of segments deleted in one commit. Deno KV takes 1,000 changes;
 * with fewer, other commits get their turn in between.
 */
const SWEEP_SIZE = 200;

/** Segments read at once: Deno KV's default of 100 would be 6 MiB at worst. */
const READ_SIZE = 64;

/** The part of a pipeline that is to be swept. */
interface Sweep {
  /** Epoch of the log that was trimmed. Another one may reuse its sequences. */
  epoch: string;
  /** Sequence of the oldest event that stays. */
  below: number;
}

/** Sweeps all pipelines, one after the other. */
export class Sweeper {
  readonly #kv: KvConnection;
  readonly #runtime: Pick<Runtime, "report">;
  readonly #headReader: HeadReader;
  /** Pipelines to be swept. */
  readonly #sweeps = new Map<string, Sweep>();
  #sweeping: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @param runtime Reporter of deletions that failed. */
  constructor(kv: KvConnection, headReader: HeadReader, runtime: Pick<Runtime, "report">) {
    this.#kv = kv;
    this.#headReader = headReader;
    this.#runtime = runtime;
  }

  /** Number of pipelines that are being swept or wait for it. */
  get size(): number {
    return this.#sweeps.size;
  }

  /**
   * Queues a pipeline, whose segments wholly below the sequence `below` are deleted,
   * unless its log is another one than that of `epoch` by then.
   */
  add(pipeline: string, epoch: string, below: number): void {
    const queued = this.#sweeps.get(pipeline);
    const isSame = queued?.epoch === epoch;
    this.#sweeps.set(pipeline, { epoch, below: isSame ? Math.max(below, queued.below) : below });
    if (!queued) this.#sweeping = this.#sweeping.then(() => this.#sweep(pipeline));
  }

  async #sweep(pipeline: string): Promise<void> {
    try {
      let deleted = SWEEP_SIZE;
      let sweep: Sweep | null = null;
      // The pipeline may be trimmed again during its sweep.
      while ((deleted === SWEEP_SIZE || sweep !== this.#sweeps.get(pipeline)) && !this.#closed) {
        sweep = this.#sweeps.get(pipeline)!;
        deleted = await this.#deleteSome(pipeline, sweep);
      }
    } catch (error) {
      // The next sweep of the pipeline starts from the beginning again.
      if (!this.#closed) {
        this.#runtime.report("Cannot sweep the log of a pipeline", error, { fields: { pipeline } });
      }
    } finally {
      this.#sweeps.delete(pipeline);
    }
  }

  /** Deletes the oldest segments wholly below a sequence, and returns their number. */
  async #deleteSome(pipeline: string, { epoch, below }: Sweep): Promise<number> {
    const selector = segmentsBelow(pipeline, below);
    const options = { limit: SWEEP_SIZE, batchSize: READ_SIZE };
    // Before the head is read, and checked by the commit: if the head is removed
    // after that, however late this commit is applied, it deletes nothing of a log
    // that begins anew.
    const { checks } = await this.#headReader.generation((use) => this.#kv.call(use), pipeline);
    return await this.#kv.call(async (kv) => {
      const { value: head } = await kv.get<Head>(headKey(pipeline));
      if (head?.epoch !== epoch) return 0;
      const operation = kv.atomic().check(...checks);
      let count = 0;
      for await (const { key } of kv.list(selector, options)) {
        operation.delete(key);
        count++;
      }
      // The counter has stepped, maybe for another pipeline: the head tells.
      if (count > 0 && !(await operation.commit()).ok) return SWEEP_SIZE;
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
