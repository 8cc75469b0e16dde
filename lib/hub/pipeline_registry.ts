/**
 * The pipelines that have subscribers in this isolate, within limits of number
 * and memory.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import type { Log } from "../log/mod.ts";
import { createMetrics } from "../telemetry/mod.ts";
import { isCanaryPipeline } from "../protocol/mod.ts";
import { PageReader } from "../stream/mod.ts";
import type { Sync } from "../sync/mod.ts";
import type { HistoryStarts } from "./history_starts.ts";
import { FanOut } from "./fan_out.ts";
import { Pipeline, type PipelineMetrics } from "./pipeline.ts";
import type { RepairCause } from "./tail.ts";

/** Bytes that a pipeline's tail keeps beyond its history. */
const TAIL_BYTES = 2 * 1024 * 1024;

/** Options for {@linkcode PipelineRegistry}. */
export interface PipelineRegistryOptions {
  /** The log that the pipelines are read from. */
  log: Log;
  /** Source of commits, clears and heads. */
  sync: Pick<Sync, "follow" | "close">;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
  /** Counts what is sent. */
  metrics: PipelineMetrics;
  /** Number of events in the history of a pipeline. */
  history: number;
  /** Maximum number of pipelines. */
  maxPipelines: number;
  /** Maximum size of all tails together, in bytes. */
  maxTailBytes: number;
}

/** The part of the gauges of a hub that is of canaries. */
export interface CanaryStats {
  /** Number of live pipelines. */
  pipelines: number;
  /** Number of subscribers. */
  subscribers: number;
  /** Memory of the tails, in bytes. */
  tailBytes: number;
}

/** The live pipelines of an isolate. */
export class PipelineRegistry {
  readonly #options: PipelineRegistryOptions;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #pages: PageReader;
  readonly #starts: HistoryStarts;
  readonly #fanOut: FanOut;
  /** Counts the pipelines of canaries, for nobody. */
  readonly #unread = createMetrics();
  /** Bytes that the tails took in since they were last counted. */
  #growth = 0;
  /** Repairs of pipelines that are no longer live. */
  readonly #pastRepairs: Record<RepairCause, number> = {
    gap: 0,
    announcement: 0,
    watch: 0,
    reconcile: 0,
  };

  /** @param starts Finds where the histories of filtered subscribers begin. */
  constructor(options: PipelineRegistryOptions, starts: HistoryStarts) {
    this.#options = options;
    this.#starts = starts;
    this.#fanOut = new FanOut(options.runtime, options.metrics);
    this.#pages = new PageReader(options.log);
  }

  /** Number of live pipelines. */
  get size(): number {
    return this.#pipelines.size;
  }

  /** Number of live pipelines of canaries, of their subscribers, and bytes of their tails. */
  get canaries(): CanaryStats {
    const sum = { pipelines: 0, subscribers: 0, tailBytes: 0 };
    for (const [id, { size, bytes }] of this.#pipelines) {
      if (!isCanaryPipeline(id)) continue;
      sum.pipelines++;
      sum.subscribers += size;
      sum.tailBytes += bytes;
    }
    return sum;
  }

  /** Memory taken by all tails, in bytes. */
  get tailBytes(): number {
    return this.#pipelines.values().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Number of repairs of tails, by the signal that caused them. */
  get repairs(): Record<RepairCause, number> {
    const sum = { ...this.#pastRepairs };
    for (const { repairs } of this.#pipelines.values()) addRepairs(sum, repairs);
    return sum;
  }

  /** Number of events that each pipeline was behind the log when that was last compared. */
  get behind(): Map<string, number> {
    return new Map(this.#pipelines.entries().map(([id, { behind }]) => [id, behind]));
  }

  /** IDs of the live pipelines. */
  get ids(): Iterable<string> {
    return this.#pipelines.keys();
  }

  /** Returns a pipeline if it is live. */
  get(id: string): Pipeline | undefined {
    return this.#pipelines.get(id);
  }

  /**
   * Returns pipelines, which stay live until they are released and their last subscribers
   * have left.
   *
   * @throws {RunnelError} `overloaded` if there are too many; none is created then.
   */
  hold(ids: readonly string[]): Pipeline[] {
    this.assertCapacity(ids);
    return ids.map((id) => {
      const pipeline = this.#pipelines.get(id) ?? this.#create(id);
      pipeline.hold();
      return pipeline;
    });
  }

  /**
   * Throws if there is no room for pipelines.
   *
   * @throws {RunnelError} `overloaded`.
   */
  assertCapacity(ids: readonly string[]): void {
    const added = ids.filter((id) => !this.#pipelines.has(id)).length;
    if (added === 0 || this.#pipelines.size + added <= this.#options.maxPipelines) return;
    throw new RunnelError(
      "overloaded",
      "Cannot subscribe: this instance has as many pipelines as it may. Try again",
    );
  }

  #create(id: string): Pipeline {
    const { log, sync, runtime, metrics, history } = this.#options;
    const pipeline = new Pipeline(id, {
      log,
      sync,
      runtime,
      metrics: isCanaryPipeline(id) ? this.#unread : metrics,
      pages: this.#pages,
      starts: this.#starts,
      fanOut: this.#fanOut,
      limits: { events: history, bytes: TAIL_BYTES },
      onGrowth: (bytes) => this.#enforceTailBudget(bytes),
      onIdle: () => this.#remove(id, pipeline),
    });
    this.#pipelines.set(id, pipeline);
    return pipeline;
  }

  #remove(id: string, pipeline: Pipeline): void {
    this.#pipelines.delete(id);
    addRepairs(this.#pastRepairs, pipeline.repairs);
    pipeline[Symbol.dispose]();
  }

  /** Counts the tails now and then, and shrinks them all if they exceed the limit. */
  #enforceTailBudget(growth: number): void {
    const { maxTailBytes } = this.#options;
    this.#growth += growth;
    if (this.#growth < maxTailBytes / 16) return;
    this.#growth = 0;
    if (this.tailBytes < maxTailBytes * 15 / 16) return;
    for (const pipeline of this.#pipelines.values()) {
      pipeline.shrink(maxTailBytes / 2 / this.#pipelines.size);
    }
  }

  /**
   * Reads what other isolates published last, whose broadcasts may still be on
   * their way.
   *
   * @param ms Maximum time that is spent, in milliseconds.
   */
  async catchUp(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#options.runtime.clock.after(ms, resolve);
    const repairs = this.#pipelines.values().map((pipeline) => pipeline.catchUp());
    await Promise.race([promise, Promise.allSettled(repairs)]);
  }

  /** Ends every stream with its last events, and stops learning from other isolates. */
  async close(): Promise<void> {
    for (const pipeline of this.#pipelines.values()) pipeline.end();
    this.#fanOut[Symbol.dispose]();
    await this.#options.sync.close();
  }
}

function addRepairs(
  sum: Record<RepairCause, number>,
  repairs: Readonly<Record<RepairCause, number>>,
): void {
  sum.gap += repairs.gap;
  sum.announcement += repairs.announcement;
  sum.watch += repairs.watch;
  sum.reconcile += repairs.reconcile;
}
