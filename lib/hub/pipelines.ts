/**
 * The pipelines that have subscribers in this isolate. Each is told of commits
 * that are made here, of what other isolates say, and of heads that were seen in
 * the log.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import type { Change, Head, Log } from "../log/mod.ts";
import type { Position } from "../protocol/mod.ts";
import { PageReader } from "../stream/mod.ts";
import {
  type HeadWatches,
  type PipelineChannels,
  type PipelineMessage,
  Reconcile,
} from "../sync/mod.ts";
import { Pipeline } from "./pipeline.ts";
import type { ComparedHead, RepairCause } from "./tail.ts";

/** What a pipeline's tail keeps beyond its history, in bytes. */
const TAIL_BYTES = 2 * 1024 * 1024;

/** What {@linkcode LivePipelines} work with. */
export interface LivePipelinesOptions {
  /** The log, which is listened to. */
  log: Log;
  /** The way to other isolates, if there are any. */
  channels: PipelineChannels | null;
  /** The way to hear of other processes, if there are any, which is listened to. */
  watches: HeadWatches | null;
  /** After how long each pipeline is compared with the log, in milliseconds; `null` for never. */
  reconcileMs: number | null;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
  /** How many events a fresh subscriber gets. */
  history: number;
  /** How many pipelines there may be. */
  maxPipelines: number;
  /** How many bytes the tails of all pipelines may take together. */
  maxTailBytes: number;
}

/** A pipeline with what listens to other isolates for it. */
interface Live {
  pipeline: Pipeline;
  channel: Disposable | null;
}

/** The live pipelines. */
export class LivePipelines {
  readonly #options: LivePipelinesOptions;
  readonly #live = new Map<string, Live>();
  readonly #pages: PageReader;
  /** Bytes that the tails took in since they were last counted. */
  #growth = 0;
  /** Runs while there are pipelines. */
  #reconcile: Reconcile | null = null;
  /** Repairs of pipelines that are live no more. */
  readonly #pastRepairs: Record<RepairCause, number> = {
    gap: 0,
    announcement: 0,
    watch: 0,
    reconcile: 0,
  };

  /**
   * Begins to listen, without any pipelines.
   *
   * @param options What they work with.
   */
  constructor(options: LivePipelinesOptions) {
    this.#options = options;
    this.#pages = new PageReader(options.log);
    options.log.listen({
      onChange: (change) => this.#onChange(change),
      onHeads: (heads) => {
        for (const head of heads) this.#compare(head.pipeline, head, "announcement");
      },
    });
    options.watches?.listen((id, head) => this.#compare(id, head, "watch"));
  }

  /** How many there are. */
  get size(): number {
    return this.#live.size;
  }

  /** The memory that all tails take, in bytes. */
  get tailBytes(): number {
    return this.#live.values().reduce((sum, { pipeline }) => sum + pipeline.tail.bytes, 0);
  }

  /** How often tails had to be repaired, by how that was learned. */
  get repairs(): Record<RepairCause, number> {
    const sum = { ...this.#pastRepairs };
    for (const { pipeline } of this.#live.values()) addRepairs(sum, pipeline.tail.repairs);
    return sum;
  }

  /** How many events each was behind the log when that was last compared. */
  get behind(): Map<string, number> {
    return new Map(this.#live.entries().map(([id, { pipeline }]) => [id, pipeline.tail.behind]));
  }

  /**
   * The pipeline for a subscriber that comes at once. It lives until its last
   * subscriber is gone.
   *
   * @param id The pipeline's ID.
   * @throws {RunnelError} `overloaded` if there are too many.
   */
  open(id: string): Pipeline {
    const live = this.#live.get(id) ?? this.#add(id);
    return live.pipeline;
  }

  /**
   * Refuses a pipeline that there is no room for.
   *
   * @param id The pipeline's ID.
   * @throws {RunnelError} `overloaded` if there are too many.
   */
  checkRoom(id: string): void {
    if (this.#live.has(id) || this.#live.size < this.#options.maxPipelines) return;
    throw new RunnelError(
      "overloaded",
      "Cannot subscribe: this instance has as many pipelines as it may. Try again",
    );
  }

  #add(id: string): Live {
    this.checkRoom(id);
    const { log, runtime, channels, watches, history } = this.#options;
    const pipeline = new Pipeline(id, {
      log,
      runtime,
      pages: this.#pages,
      limits: { events: history, bytes: TAIL_BYTES },
      onGrowth: (bytes) => this.#grow(bytes),
      onUnused: () => this.#drop(id, live),
    });
    // Before the log is read, so that nothing falls in between.
    const channel = channels?.join(id, (message) => this.#onMessage(id, message)) ?? null;
    const live: Live = { pipeline, channel };
    this.#live.set(id, live);
    watches?.add(id);
    this.#reconcile ??= this.#startReconcile();
    return live;
  }

  #drop(id: string, live: Live): void {
    // Another may have taken its place since.
    if (this.#live.get(id) !== live) return;
    this.#live.delete(id);
    addRepairs(this.#pastRepairs, live.pipeline.tail.repairs);
    this.#options.watches?.delete(id);
    live.channel?.[Symbol.dispose]();
    live.pipeline[Symbol.dispose]();
    if (this.#live.size === 0) this.#stopReconcile();
  }

  #onChange({ pipeline, ...message }: Change): void {
    this.#onMessage(pipeline, message);
    this.#options.channels?.post(pipeline, message);
  }

  #onMessage(id: string, message: PipelineMessage): void {
    const tail = this.#live.get(id)?.pipeline.tail;
    if ("segments" in message) tail?.receive({ pipeline: id, ...message });
    else tail?.clearBelow(message.epoch, message.oldest);
  }

  /**
   * Makes sure that those who listen here know of a clear: another isolate may
   * have the log, and its word may be lost.
   *
   * @param id Whose history was cleared.
   * @param head Its head since.
   */
  clear(id: string, { epoch, oldest }: Head): void {
    this.#live.get(id)?.pipeline.tail.clearBelow(epoch, oldest);
  }

  /**
   * Makes sure that an event which is in the log reaches those who listen here:
   * another isolate may have made the commit, and its word may be lost.
   *
   * @param id Whose event.
   * @param position Which event.
   */
  expect(id: string, position: Position): void {
    this.#live.get(id)?.pipeline.tail.expect(position);
  }

  #startReconcile(): Reconcile | null {
    const { log, runtime, reconcileMs } = this.#options;
    if (reconcileMs === null) return null;
    return new Reconcile({
      runtime,
      periodMs: reconcileMs,
      pipelines: () => this.#live.keys(),
      heads: (pipelines) => log.heads(pipelines),
      onHead: (id, head) => this.#compare(id, head, "reconcile"),
    });
  }

  #stopReconcile(): void {
    this.#reconcile?.[Symbol.dispose]();
    this.#reconcile = null;
  }

  async #compare(id: string, head: ComparedHead | null, cause: RepairCause): Promise<void> {
    const { watches, runtime } = this.#options;
    try {
      const wasBehind = await this.#live.get(id)?.pipeline.tail.compare(head, cause);
      // Its watch should have told before.
      if (wasBehind && cause === "reconcile") watches?.renew(id);
    } catch (error) {
      runtime.report(`Cannot repair the tail of ${id}`, error);
    }
  }

  /** Counts the tails now and then, and shrinks them all where they are too much. */
  #grow(bytes: number): void {
    const { maxTailBytes } = this.#options;
    this.#growth += bytes;
    if (this.#growth < maxTailBytes / 16) return;
    this.#growth = 0;
    if (this.tailBytes < maxTailBytes * 15 / 16) return;
    for (const { pipeline } of this.#live.values()) {
      pipeline.tail.shrink(maxTailBytes / 2 / this.#live.size);
    }
  }

  /**
   * Reads what other isolates published last, whose word may still be on its way.
   *
   * @param ms How long that may take, in milliseconds.
   */
  async catchUp(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#options.runtime.clock.after(ms, resolve);
    const repairs = this.#live.values().map(({ pipeline }) => pipeline.tail.repair());
    await Promise.race([promise, Promise.allSettled(repairs)]);
  }

  /** Ends every stream with its last events, and listens no more. */
  async close(): Promise<void> {
    for (const { pipeline } of this.#live.values()) {
      for (const subscriber of pipeline.subscribers) subscriber.end();
    }
    this.#stopReconcile();
    this.#options.channels?.[Symbol.dispose]();
    await this.#options.watches?.close();
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
