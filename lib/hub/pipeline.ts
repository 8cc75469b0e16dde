/**
 * One pipeline that has subscribers in this isolate: starts each of them where
 * it left off, and wakes them when there are more events.
 *
 * @module
 */

import type { Change } from "../log/mod.ts";
import { isTracing, type Metrics, traceFanOut } from "../telemetry/mod.ts";
import type { ChannelFilter, HistoryRange, Position } from "../protocol/mod.ts";
import {
  EncodedEvents,
  type EncodedPage,
  Feed,
  type FeedOptions,
  type StreamMetrics,
  type SubscriberSource,
} from "../stream/mod.ts";
import type { HeadSource, ObservedHead, Sync } from "../sync/mod.ts";
import type { FanOut } from "./fan_out.ts";
import type { HistoryScope, HistoryStarts } from "./history_starts.ts";
import { LagMonitor, type LagMonitorOptions } from "./lag_monitor.ts";
import type { Passes } from "./passes.ts";
import { type RepairCause, Tail, type TailOptions } from "./tail.ts";

/** Maximum number of traces in which a pass is recorded: those of its newest events. */
const MAX_TRACES = 32;

/** Metrics of pipelines. */
export type PipelineMetrics = StreamMetrics & Pick<Metrics, "fanOutDelay">;

/** Options for {@linkcode Pipeline}. */
export interface PipelineOptions extends Omit<TailOptions, "onChange" | "beforeLoss"> {
  /** Log of the pipeline. */
  log: TailOptions["log"] & LagMonitorOptions["log"];
  /** Fan-out of the isolate. */
  fanOut: FanOut;
  /** Source of commits, clears and heads. */
  sync: Pick<Sync, "follow">;
  /** Finds where the histories of filtered subscribers begin. */
  starts: HistoryStarts;
  /** Counts what is sent. */
  metrics: PipelineMetrics;
  /** Called once, when no subscriber is left and none is pending. */
  onIdle: () => void;
}

/** Options for {@linkcode Pipeline.open}. */
export interface OpenOptions extends Pick<FeedOptions, "history" | "filter" | "form"> {
  /** Position of the client in this pipeline, if it has one. */
  position: Position | null;
  /** Whether a client without a position has to be told that it may have had another one. */
  hasGap: boolean;
}

/** A pipeline that is live in this isolate. */
export class Pipeline implements SubscriberSource, Disposable {
  readonly #id: string;
  readonly #options: PipelineOptions;
  readonly #tail: Tail;
  readonly #lag: LagMonitor;
  readonly #following: Disposable;
  readonly #feeds = new Set<Feed>();
  readonly #passes: Passes;
  #visible = 0;
  /** Sequence of the last event that live subscribers had before the pass in progress. */
  #shown = 0;
  /** Sequence of the newest event for which a pass was requested. */
  #requested = 0;
  /** Number of subscribers whose streams are about to start. */
  #pending = 0;

  constructor(id: string, options: PipelineOptions) {
    this.#id = id;
    this.#options = options;
    this.#tail = new Tail(id, {
      ...options,
      onChange: () => this.#requestPass(),
      beforeLoss: () => this.#showAll(),
    });
    this.#lag = new LagMonitor(id, this.#tail, options);
    this.#passes = options.fanOut.passesOf({
      size: () => this.#feeds.size,
      reveal: () => this.#reveal(),
      written: (ms) => this.#trace(ms),
    }, options.metrics);
    // Before the log is read, so that nothing falls in between: that happens
    // when the first subscriber comes.
    this.#following = options.sync.follow(id, {
      onChange: (change) => this.#receive(change),
      onHead: (head, source) => this.#reconcileWith(head, source),
    });
  }

  /** The newest events: defined once the first subscriber's stream has started. */
  get newest(): EncodedEvents {
    return this.#tail.events!;
  }

  /** Sequence of the last event that live subscribers may have. */
  get visible(): number {
    return this.#visible;
  }

  /** Memory taken by the newest events, in bytes. */
  get bytes(): number {
    return this.#tail.bytes;
  }

  /** Number of events that the pipeline was behind its log when that was last compared. */
  get behind(): number {
    return this.#lag.behind;
  }

  /** Number of subscribers. */
  get size(): number {
    return this.#feeds.size;
  }

  /** Number of repairs, by the signal that caused them. */
  get repairs(): Readonly<Record<RepairCause, number>> {
    return this.#tail.repairs;
  }

  /** ID of the pipeline. */
  get id(): string {
    return this.#id;
  }

  /** Keeps the pipeline live until {@linkcode Pipeline.release} is called, without subscribers, too. */
  hold(): void {
    this.#pending++;
  }

  /** Ends what {@linkcode Pipeline.hold} began. */
  release(): void {
    this.#pending--;
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#pending === 0 && this.#feeds.size === 0) this.#options.onIdle();
  }

  /**
   * Finds the position of a client in this pipeline's log, once all events are in the tail
   * that were accepted by now.
   *
   * @param positions Positions that the client has, in this log and in those of others.
   * @returns The position; `null` if none of them is in this log.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async locate(positions: readonly Position[]): Promise<Position | null> {
    // A pipeline that nobody wrote to has an epoch that has to be renewed.
    if (!this.#tail.events || this.#tail.events.last === 0) await this.#tail.load();
    // What was accepted by now is history for a subscriber that comes now.
    await this.#lag.catchUpToExpected();
    if (positions.length === 0) return null;
    // A tail that lags must not call a good position foreign.
    if (!this.#findOwn(positions)) await this.#tail.repair();
    const position = this.#findOwn(positions);
    return position && await this.#tail.catchUpTo(position) ? position : null;
  }

  /** Finds the position of this log, the oldest if there are several. */
  #findOwn(positions: readonly Position[]): Position | null {
    const own = positions.filter(({ epoch }) => epoch === this.newest.epoch);
    return own.toSorted((a, b) => a.sequence - b.sequence)[0] ?? null;
  }

  /**
   * Adds a subscriber that was located.
   *
   * @returns What it gets of this pipeline, until that is closed.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async open({ position, hasGap, filter, history, form }: OpenOptions): Promise<Feed> {
    let resume = this.#resume(position, hasGap);
    // Whatever comes after the search, while this waits for its turn, is found, too.
    while (typeof resume !== "number" && this.historyStart(filter, history) === null) {
      await this.findHistory(filter, history);
      resume = this.#resume(position, hasGap);
    }
    const feed = new Feed({
      source: this,
      resume,
      history,
      filter,
      form,
      runtime: this.#options.runtime,
      metrics: this.#options.metrics,
      onClose: (feed) => {
        this.#feeds.delete(feed);
        this.#checkIdle();
      },
    });
    this.#feeds.add(feed);
    return feed;
  }

  #resume(position: Position | null, hasGap: boolean): FeedOptions["resume"] {
    if (!position) return hasGap ? "unknown" : "fresh";
    // The log may have been replaced since it was located.
    return this.#tail.has(position) ? position.sequence : "unknown";
  }

  /**
   * Reads what follows a sequence from the log, except for events that the filter,
   * if there is one, is known to pass over.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async page(
    sequence: number,
    filter: ChannelFilter | null,
    isWanted: () => boolean = () => true,
  ): Promise<EncodedPage | null> {
    const { pages, starts } = this.#options;
    const { newest } = this;
    const { epoch, first, last: before } = newest;
    const from = filter ? starts.skip(this.#id, { epoch, sequence }, filter) : sequence;
    if (from > sequence && from >= first - 1) return emptyPage(newest);
    let page = await pages.read(this.#id, from, isWanted);
    // Those that are missed count with all that were to be passed over.
    if (from > sequence && page?.missed) page = await pages.read(this.#id, sequence, isWanted);
    if (!isWanted()) return page;
    // Of another log, or behind where the tail was: the log was replaced.
    if (page?.epoch !== this.newest.epoch || page.sequence < before) await this.#tail.repair();
    else await this.#tail.catchUpTo(page);
    return page;
  }

  /** Calls {@linkcode HistoryStarts.peek}. */
  historyStart(filter: ChannelFilter, range: HistoryRange): number | null {
    const start = this.#options.starts.peek(this.#scope(filter, range));
    // A client that is told its start would miss what was cleared before it came.
    return start === null
      ? null
      : Math.max(start, this.#tail.oldestAfterClear(this.newest.epoch) - 1);
  }

  /** Calls {@linkcode HistoryStarts.find}. */
  findHistory(filter: ChannelFilter, range: HistoryRange): Promise<number> {
    return this.#options.starts.find(this.#scope(filter, range), () => this.#tail.repair());
  }

  #scope(filter: ChannelFilter, range: HistoryRange): HistoryScope {
    return { pipeline: this.#id, newest: () => this.newest, filter, range };
  }

  #receive(change: Change): void {
    if ("segments" in change) this.#tail.receive(change);
    else this.clearBelow(change);
  }

  async #reconcileWith(head: ObservedHead | null, source: HeadSource): Promise<boolean> {
    try {
      return await this.#lag.reconcileWith(head, source);
    } catch (error) {
      this.#tail.reportFailure(error);
      return false;
    }
  }

  /**
   * Ensures that subscribers get a committed event: another isolate may have
   * made the commit, and the message about it may be lost.
   */
  awaitBroadcast(position: Position): void {
    if (!this.#tail.has(position)) this.#lag.awaitBroadcast(position);
  }

  /**
   * Ensures that subscribers no longer get cleared events: another isolate may
   * have cleared the log, and the message about it may be lost.
   */
  clearBelow({ epoch, oldest }: { epoch: string; oldest: number }): void {
    this.#tail.clearBelow(epoch, oldest);
  }

  /**
   * Reads the log up to its head, which may have events whose broadcasts are
   * still on their way.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  catchUp(): Promise<void> {
    return this.#tail.repair();
  }

  /** Drops the oldest events to save memory: subscribers that need them read the log. */
  shrink(bytes: number): void {
    this.#tail.shrink(bytes);
  }

  #requestPass(): void {
    const { last } = this.newest;
    // Fewer than before if the log was replaced.
    this.#passes.request(Math.max(0, last - this.#requested));
    this.#requested = last;
  }

  /** Records the pass that has ended, in the traces of its events. */
  #trace(ms: number): void {
    if (!isTracing()) return;
    const until = this.#options.runtime.clock.now();
    traceFanOut({
      traceparents: this.newest.tracesAfter(this.#shown, this.#visible, MAX_TRACES),
      pipeline: this.#id,
      subscribers: this.#feeds.size,
      since: until - ms,
      until,
    });
  }

  #reveal(): SetIterator<Feed> {
    this.#shown = this.#visible;
    this.#visible = this.newest.last;
    this.newest.dropChunks();
    return this.#feeds.values();
  }

  /** Sends at once what waits for a pass, while it can be sent. */
  #showAll(): void {
    if (this.#visible === this.newest.last) return;
    for (const feed of this.#reveal()) feed.wake();
  }

  /** Ends every stream once it has sent the newest events. */
  end(): void {
    for (const feed of this.#feeds) feed.end();
  }

  /** Stops learning of changes and repairing. */
  [Symbol.dispose](): void {
    this.#passes[Symbol.dispose]();
    this.#following[Symbol.dispose]();
    this.#lag[Symbol.dispose]();
    this.#tail[Symbol.dispose]();
  }
}

/** Returns the page that ends before the newest events and has none. */
function emptyPage({ epoch, first, last }: EncodedEvents): EncodedPage {
  const after = first - 1;
  const events = new EncodedEvents(epoch, after);
  return { epoch, sequence: last, after, missed: 0, reason: "evicted", events };
}
