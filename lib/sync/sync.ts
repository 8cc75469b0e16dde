/**
 * Synchronization with the other writers of a log: tells each pipeline that is
 * live in this isolate about commits, wherever they were made.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { WatchKv } from "../kv/mod.ts";
import type { Change, Head, Log } from "../log/mod.ts";
import { HeadWatches } from "./head_watches.ts";
import type { PipelineChannels } from "./pipeline_channels.ts";
import { Reconciler } from "./reconciler.ts";

/** Period of reconciliation with a log that other processes write to, in milliseconds. */
const PROCESSES_RECONCILE_MS = 60_000;

/** Period of reconciliation with a log that other isolates write to, in milliseconds. */
const ISOLATES_RECONCILE_MS = 15_000;

/** Options for {@linkcode Sync}. */
export interface SyncOptions {
  /** The log, whose listener is set. */
  log: Pick<Log, "listen" | "heads">;
  /** Channels to the other isolates of this process, if there are any. */
  channels: PipelineChannels | null;
  /** Opens a connection for watches alone, if other processes write to the store. */
  watch: (() => Promise<WatchKv>) | null;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
}

/** Part of a head by which a pipeline tells whether it is behind its log. */
export type ObservedHead = Pick<Head, "epoch" | "sequence" | "cleared">;

/** Signal by which a head was learned. */
export type HeadSource = "announcement" | "watch" | "reconcile";

/** Receiver of all that is learned about one pipeline. */
export interface Follower {
  /**
   * Called with each commit and clear: reliably and in order with those of this
   * isolate's log, as hints with those of other isolates.
   */
  onChange(change: Change): void;
  /**
   * Called with heads that were observed; `null` if the log has none.
   *
   * @returns Whether the pipeline was behind that head. Never rejects.
   */
  onHead(head: ObservedHead | null, source: HeadSource): Promise<boolean>;
}

/** The followed pipelines of an isolate, and the sources that they learn from. */
export class Sync {
  readonly #options: SyncOptions;
  readonly #watches: HeadWatches | null;
  readonly #reconcileMs: number | null;
  readonly #followers = new Map<string, Follower>();
  /** Runs while a pipeline is followed. */
  #reconciler: Reconciler | null = null;

  constructor(options: SyncOptions) {
    const { log, channels, watch, runtime } = options;
    this.#options = options;
    this.#watches = watch && new HeadWatches({
      open: watch,
      runtime,
      onHead: (pipeline, head) => this.#followers.get(pipeline)?.onHead(head, "watch"),
    });
    // No other writer, no need to reconcile.
    const isolatesMs = channels && ISOLATES_RECONCILE_MS;
    this.#reconcileMs = watch ? PROCESSES_RECONCILE_MS : isolatesMs;
    log.listen({
      onChange: (change) => {
        this.#followers.get(change.pipeline)?.onChange(change);
        channels?.post(change);
      },
      onHeads: (heads) => {
        for (const head of heads) this.#followers.get(head.pipeline)?.onHead(head, "announcement");
      },
    });
  }

  /** Number of messages to other isolates that failed, and of watches that were lost. */
  get stats(): { broadcastFailures: number; watchesLost: number } {
    return {
      broadcastFailures: this.#options.channels?.stats.failures ?? 0,
      watchesLost: this.#watches?.stats.lost ?? 0,
    };
  }

  /**
   * Follows a pipeline until the result is disposed, one follower at a time.
   * What is committed after this call is learned, by one source or another.
   */
  follow(pipeline: string, follower: Follower): Disposable {
    this.#followers.set(pipeline, follower);
    const subscription = this.#options.channels?.subscribe(
      pipeline,
      (change) => follower.onChange(change),
    );
    this.#watches?.add(pipeline);
    this.#reconciler ??= this.#startReconciler();
    return {
      [Symbol.dispose]: () => {
        this.#followers.delete(pipeline);
        this.#watches?.delete(pipeline);
        subscription?.[Symbol.dispose]();
        if (this.#followers.size === 0) this.#stopReconciler();
      },
    };
  }

  #startReconciler(): Reconciler | null {
    const { log, runtime } = this.#options;
    if (this.#reconcileMs === null) return null;
    return new Reconciler({
      runtime,
      periodMs: this.#reconcileMs,
      pipelines: () => this.#followers.keys(),
      heads: (pipelines) => log.heads(pipelines),
      onHead: (pipeline, head) => this.#reconcileWith(pipeline, head),
    });
  }

  async #reconcileWith(pipeline: string, head: Head | null): Promise<void> {
    const wasBehind = await this.#followers.get(pipeline)?.onHead(head, "reconcile");
    // Its watch should have told before.
    if (wasBehind) this.#watches?.reopen(pipeline);
  }

  #stopReconciler(): void {
    this.#reconciler?.[Symbol.dispose]();
    this.#reconciler = null;
  }

  /** Stops learning from and telling other isolates and processes. */
  async close(): Promise<void> {
    this.#stopReconciler();
    this.#options.channels?.[Symbol.dispose]();
    await this.#watches?.close();
  }
}
