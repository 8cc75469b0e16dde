/**
 * The durable log of all pipelines in Deno KV. An event is accepted once it is
 * appended here; every other copy is compared with this log.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { NewEvent, Position } from "../protocol/mod.ts";
import { Backlog, requestBytes } from "./backlog.ts";
import { type ChannelScan, scanChannels } from "./channel_scan.ts";
import type { Change, Receipt } from "./commit.ts";
import type { EventLogOptions, PublishOptions } from "./event_log_options.ts";
import type { Head } from "./head.ts";
import type { AnnouncedHead } from "./head_announcer.ts";
import { HeadStore } from "./head_store.ts";
import { hashIdempotency } from "./idempotency.ts";
import { PING_KEY } from "./keys.ts";
import { ListenerSlot } from "./listener_slot.ts";
import { CommitQueue } from "./commit_queue.ts";
import { LogReader, type Page } from "./log_reader.ts";
import type { LogWriter } from "./log_writer.ts";
import { LogWriters } from "./log_writers.ts";
import { readAppend, type StandingAppend } from "./standing_append.ts";
import { Removal } from "./removal.ts";
import { storeNewEpoch } from "./rollback.ts";
import { Sweeper } from "./sweeper.ts";
import { findSince, type TimePlace } from "./time_search.ts";
import { HeadReader } from "./unwritten.ts";

/** Interface of a log, whether this isolate or another owns it. */
export type Log = Pick<EventLog, keyof EventLog>;

/** Listener of a log. */
export interface LogListener {
  /** Called with each commit and clear, before the caller that asked for it is answered. */
  onChange: (change: Change) => void;
  /** Called with heads that another isolate announces, because their broadcasts may be lost. */
  onHeads: (heads: readonly AnnouncedHead[]) => void;
}

/** The log of all pipelines of a store. */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #backlog: Backlog;
  readonly #writers: LogWriters;
  readonly #headReader: HeadReader;
  readonly #heads: HeadStore;
  readonly #reader: LogReader;
  readonly #removal: Removal;
  #closed = false;
  readonly #slot = new ListenerSlot<LogListener>();

  /** Creates a log on an open store. */
  constructor(options: EventLogOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options.maxWaitingBytes);
    const headReader = this.#headReader = new HeadReader(options.runtime);
    this.#heads = new HeadStore({
      ...options,
      headReader,
      onEnsured: options.shared
        ? undefined
        : (pipeline, head) => this.#writers.prepare(pipeline, head),
    });
    this.#reader = new LogReader({ ...options, heads: this.#heads });
    const sweeper = new Sweeper(options.kv, headReader, options.runtime);
    this.#writers = new LogWriters({
      ...options,
      commits: new CommitQueue(options),
      headReader,
      onCommit: (commit) => this.#deliver(commit),
      onTrim: (pipeline, epoch, oldest) => sweeper.add(pipeline, epoch, oldest),
    });
    this.#removal = new Removal({
      ...options,
      heads: this.#heads,
      headReader,
      sweeper,
      onChange: (change) => this.#deliver(change),
    });
  }

  /**
   * Memory of waiting requests, in bytes, and number of pipelines to be swept, with
   * one more while the remains of deleted pipelines are removed.
   */
  get pending(): { waitingBytes: number; sweeps: number } {
    return { waitingBytes: this.#backlog.bytes, sweeps: this.#removal.pending };
  }

  /**
   * Sets the listener of commits and clears made here, of which nothing needs
   * to be announced, until the result is disposed. Changes that are made without
   * a listener are reported.
   *
   * @throws {Error} If there is a listener already.
   */
  listen(listener: LogListener): Disposable {
    return this.#slot.set(listener);
  }

  /**
   * Appends the events of one request, all or none, in one atomic commit.
   *
   * @param events The events, at least one unless they end the run.
   * @returns Position of the events, once they are durable.
   * @throws {RunnelError} `overloaded`, `log-unavailable` or `draining` if nothing
   *   was stored; `outcome-unknown` if that is not known; `run-ended` if the run has
   *   ended; `key-reused` if the key came with other events within 24 hours;
   *   `append-superseded` if another connection goes on with the append.
   */
  async append(
    pipeline: string,
    events: readonly NewEvent[],
    { end = false, key, publisher, part }: PublishOptions = {},
  ): Promise<Receipt> {
    const bytes = requestBytes(events);
    // Not by a `DisposableStack`, which takes 2.5 of 50 µs of a publish.
    const held = this.#backlog.add(bytes);
    let writer: LogWriter | null = null;
    try {
      const idempotency = key === undefined
        ? undefined
        : await hashIdempotency(key, part ? null : events, { end, publisher });
      if (this.#closed) throw new RunnelError("draining", "Cannot publish: closing");
      this.#options.kv.assertUsable();
      writer = this.#writers.getOrCreate(pipeline);
      const receipt = await writer.append({ events, end, idempotency, part }, bytes);
      held[Symbol.dispose]();
      return receipt;
    } catch (error) {
      if (!writer) held[Symbol.dispose]();
      // Its events stay in memory until the log tells what became of them.
      else writer.whenOutcomeKnown().then(() => held[Symbol.dispose]());
      throw error;
    }
  }

  /** Delivers a change. An error of its listener does not undo the change, which is stored. */
  #deliver(change: Change): void {
    try {
      this.#slot.listener.onChange(change);
    } catch (error) {
      this.#options.runtime.report("Cannot deliver a change of a pipeline", error, {
        fields: { pipeline: change.pipeline },
      });
    }
  }

  /** Resolves when the commit of a pipeline that is in flight here, if there is one, has ended. */
  async waitForCommit(pipeline: string): Promise<void> {
    await this.#writers.waitForCommit(pipeline);
  }

  /** Calls {@linkcode HeadStore.read}. */
  head(pipeline: string): Promise<Head | null> {
    return this.#heads.read(pipeline);
  }

  /** Calls {@linkcode HeadStore.readAll}. */
  heads(pipelines: readonly string[]): Promise<(Head | null)[]> {
    return this.#heads.readAll(pipelines);
  }

  /** Calls {@linkcode HeadStore.ensureHead}. */
  ensureHead(pipeline: string): Promise<Head> {
    return this.#heads.ensureHead(pipeline);
  }

  /** Calls {@linkcode storeNewEpoch}: the log was rolled back behind an event. */
  renewEpoch(pipeline: string, known: Position): Promise<Head> {
    return storeNewEpoch(pipeline, known, { ...this.#options, headReader: this.#headReader });
  }

  /** Calls {@linkcode readAppend}. */
  readAppend(pipeline: string, key: string, publisher?: string): Promise<StandingAppend | null> {
    return readAppend(pipeline, { key, publisher }, this.#options);
  }

  /** Calls {@linkcode LogReader.readAfter}. */
  readAfter(pipeline: string, sequence: number, maxBytes: number): Promise<Page | null> {
    return this.#reader.readAfter(pipeline, sequence, maxBytes);
  }

  /** Calls {@linkcode scanChannels}. */
  scanChannels(pipeline: string): Promise<ChannelScan | null> {
    return scanChannels(pipeline, { kv: this.#options.kv, heads: this.#heads });
  }

  /** Calls {@linkcode findSince}. */
  findSince(pipeline: string, since: number): Promise<TimePlace | null> {
    return findSince(pipeline, since, { kv: this.#options.kv, heads: this.#heads });
  }

  /** Calls {@linkcode Removal.clear}. */
  clear(pipeline: string): Promise<Head | null> {
    return this.#removal.clear(pipeline);
  }

  /** Calls {@linkcode Removal.delete}. */
  delete(pipeline: string): Promise<Head | null> {
    return this.#removal.delete(pipeline);
  }

  /** Calls {@linkcode HeadStore.renewLeases}. */
  renewLeases(pipelines: readonly string[]): Promise<void> {
    return this.#heads.renewLeases(pipelines);
  }

  /**
   * Checks that the log takes events, that its file is the one that was opened, and that
   * its disk has room. It writes, because a full disk can still be read.
   *
   * @param ms Deadline, in milliseconds.
   * @throws {RunnelError} `log-unavailable` if the log does not take events.
   */
  async ping(ms: number): Promise<void> {
    const { kv, reserve } = this.#options;
    const write = kv.call((kv) => kv.atomic().set(PING_KEY, true).commit(), {
      ms,
      as: "log-unavailable",
    });
    await Promise.all([kv.verify(), write, reserve?.assertRoom().catch(throwFull)]);
  }

  /** Refuses waiting requests, resolves when commits in flight have ended, and closes the store. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#options.reserve?.[Symbol.dispose]();
    await Promise.all([this.#writers.close(), this.#removal.close()]);
    this.#options.kv.close();
  }
}

function throwFull(cause: unknown): never {
  throw new RunnelError("log-unavailable", "Cannot store events: the disk is full", { cause });
}
