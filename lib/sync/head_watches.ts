/**
 * Watches of the heads of pipelines, in a store that other processes write to.
 *
 * Watches never share a connection with reads and commits: all calls of one go
 * over one HTTP/2 connection, and at 200 open streams commits hang forever
 * without an error.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import { MAX_KEYS, type WatchKv } from "../kv/mod.ts";
import { type Head, headKey } from "../log/mod.ts";
import { WatchConnections } from "./watch_connections.ts";

/** Time for which added pipelines are collected before they are watched together, in milliseconds. */
const COLLECT_MS = 10;

/** Maximum age of a watch, in milliseconds: its back-off grows with each loss and never resets. */
const MAX_AGE_MS = 30 * 60 * 1000;

/** Minimum pause before a lost watch is opened again, in milliseconds. */
const REOPEN_MS = 500;

/** Options for {@linkcode HeadWatches}. */
export interface HeadWatchOptions {
  /** Opens a connection for watches alone. */
  open: () => Promise<WatchKv>;
  /** Clock, random numbers and reporter. */
  runtime: Runtime;
  /** Called with each head that changed, and with the first one of each pipeline. */
  onHead: (pipeline: string, head: Head | null) => void;
}

/** Pipelines that are watched together. */
class WatchGroup {
  /** The pipelines, each with the versionstamp that was last passed on of its head. */
  readonly versionstamps = new Map<string, string | null | undefined>();
  reader: ReadableStreamDefaultReader<Deno.KvEntryMaybe<Head>[]> | null = null;
  /** Ends the current watch, so that another takes its place. */
  endTimer: Disposable | null = null;
  /** Whether the current watch is about to be replaced. */
  isReplaced = false;
  /** Whether the current watch was ended by this class. */
  isEnded = false;
}

/** The watches of an isolate. */
export class HeadWatches implements AsyncDisposable {
  readonly #options: HeadWatchOptions;
  readonly #groups = new Set<WatchGroup>();
  readonly #groupOf = new Map<string, WatchGroup>();
  readonly #connections: WatchConnections;
  readonly #loops = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #lost = 0;

  constructor(options: HeadWatchOptions) {
    this.#options = options;
    this.#connections = new WatchConnections(options.open);
  }

  /** Number of pipelines, watches and connections, and of watches that were lost. */
  get stats(): { pipelines: number; watches: number; connections: number; lost: number } {
    return {
      pipelines: this.#groupOf.size,
      watches: this.#groups.size,
      connections: this.#connections.size,
      lost: this.#lost,
    };
  }

  /** Starts watching a pipeline. */
  add(pipeline: string): void {
    if (this.#groupOf.has(pipeline) || this.#closing.signal.aborted) return;
    let group = this.#groups.values().find(({ versionstamps }) => versionstamps.size < MAX_KEYS);
    if (group) this.#reopen(group, COLLECT_MS);
    else group = new WatchGroup();
    group.versionstamps.set(pipeline, undefined);
    this.#groupOf.set(pipeline, group);
    if (!this.#groups.has(group)) this.#start(group);
  }

  /** Stops watching a pipeline. */
  delete(pipeline: string): void {
    const group = this.#groupOf.get(pipeline);
    if (!group) return;
    this.#groupOf.delete(pipeline);
    group.versionstamps.delete(pipeline);
    if (group.versionstamps.size > 0) return;
    this.#groups.delete(group);
    this.#end(group);
  }

  /** Replaces the watch of a pipeline, which missed a change. */
  reopen(pipeline: string): void {
    const group = this.#groupOf.get(pipeline);
    if (group) this.#reopen(group, 0);
  }

  #reopen(group: WatchGroup, ms: number): void {
    if (group.isReplaced) return;
    group.isReplaced = true;
    group.endTimer?.[Symbol.dispose]();
    group.endTimer = this.#options.runtime.clock.after(ms, () => this.#end(group));
  }

  #end(group: WatchGroup): void {
    group.endTimer?.[Symbol.dispose]();
    group.endTimer = null;
    group.isEnded = true;
    // A stream that failed by itself rejects its reader, too.
    group.reader?.cancel().catch(() => {});
  }

  #start(group: WatchGroup): void {
    this.#groups.add(group);
    const loop = this.#keepWatching(group).finally(() => this.#loops.delete(loop));
    this.#loops.add(loop);
  }

  async #keepWatching(group: WatchGroup): Promise<void> {
    // Pipelines that are added in the same moment are watched together at once.
    await this.#wait(COLLECT_MS);
    while (this.#groups.has(group)) {
      const connection = this.#connections.acquire();
      try {
        await this.#watch(group, await connection.kv);
      } catch (error) {
        this.#lost++;
        this.#options.runtime.report("Cannot watch the log", error);
        await this.#wait(REOPEN_MS * (1 + this.#options.runtime.random()));
      } finally {
        this.#connections.release(connection);
      }
    }
  }

  async #watch(group: WatchGroup, kv: WatchKv): Promise<void> {
    const pipelines = [...group.versionstamps.keys()];
    if (pipelines.length === 0) return;
    group.isReplaced = false;
    group.isEnded = false;
    group.endTimer?.[Symbol.dispose]();
    group.endTimer = this.#options.runtime.clock.after(MAX_AGE_MS, () => this.#end(group));
    const reader = group.reader = kv.watch<Head[]>(pipelines.map(headKey)).getReader();
    try {
      while (true) {
        const { done, value } = await reader.read();
        if (done && group.isEnded) return;
        if (done) throw new Error("The store ended a watch");
        // A wake names all keys though one changed.
        pipelines.forEach((pipeline, index) => this.#onEntry(group, pipeline, value[index]!));
      }
    } finally {
      group.reader = null;
    }
  }

  #onEntry(
    group: WatchGroup,
    pipeline: string,
    { value, versionstamp }: Deno.KvEntryMaybe<Head>,
  ): void {
    if (!group.versionstamps.has(pipeline) || group.versionstamps.get(pipeline) === versionstamp) {
      return;
    }
    group.versionstamps.set(pipeline, versionstamp);
    this.#options.onHead(pipeline, value);
  }

  async #wait(ms: number): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    using _timer = this.#options.runtime.clock.after(ms, resolve);
    await promise;
  }

  /** Ends all watches. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const pipeline of this.#groupOf.keys()) this.delete(pipeline);
    await Promise.all(this.#loops);
  }

  /** Calls {@linkcode HeadWatches.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
