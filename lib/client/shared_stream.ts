/**
 * One stream that several tabs share.
 *
 * @module
 */

import type { ClientEvent } from "./event_types.ts";
import type { ClientClock, SubscribeOptions } from "./subscribe_options.ts";
import type { ConnectionState } from "./subscription.ts";
import { type Positions, readPositions } from "./shared_positions.ts";
import { toSharedEvent } from "./shared_messages.ts";
import { SharedRecord } from "./shared_record.ts";
import type { Tab } from "./shared_tab.ts";

/**
 * Time for which a stream that is live again keeps its record, in milliseconds. Tabs come back at
 * once. What is cleared later must not reach any of them.
 */
const RECORD_MS = 2_000;

/** The part of a subscription that a shared stream uses. */
export interface OpenSubscription {
  readonly lastEventId: string;
  retryNow(): void;
  close(): void;
  readonly closed: Promise<void>;
}

/** Opens a subscription. */
export type Subscribe = (url: string, options: SubscribeOptions) => OpenSubscription;

/** Options for {@linkcode SharedStream}. */
export interface SharedStreamOptions {
  subscribe: Subscribe;
  clock: ClientClock;
  /** Base URL of the service. */
  url: string;
  /** Channels; empty for all. */
  channels: readonly string[];
  /** Token of the tabs. */
  token: string | undefined;
  /** Position to begin at, for each pipeline. */
  positions: ReadonlyMap<string, string>;
  /** Called when it is live, also for another time. */
  onLive: (stream: SharedStream) => void;
  /** Called when it has ended permanently. */
  onClosed: (stream: SharedStream) => void;
}

/**
 * A stream of one to ten pipelines that always continues after a position: it has no history of
 * its own. Each tab gets what the stream receives from some position on.
 */
export class SharedStream {
  readonly pipelines: readonly string[];
  /** Pipelines whose run has ended. */
  readonly ended = new Set<string>();
  /** Tabs that it feeds. */
  readonly tabs = new Set<Tab>();
  /** Tabs that wait until it is live again. */
  readonly waiting = new Set<Tab>();
  /** Whether it is live. Otherwise it feeds no tab. */
  isLive = false;
  /** Reason for which it is not. */
  reason = "The shared stream is being opened";
  /** Whether an event is missing since it was opened. */
  hadGap = false;
  readonly #options: SharedStreamOptions;
  readonly #subscription: OpenSubscription;
  /** Positions that it has reached: a filter may have passed events over. */
  #positions: Positions;
  /** Positions of the newest events. Whoever has these events, has all up to `#positions`. */
  readonly #newest: Positions;
  /** Record of the newest events; `null` while nothing is recorded. */
  #record: SharedRecord | null;
  #cancelTimer = () => {};
  #isClosed = false;

  constructor(options: SharedStreamOptions) {
    const { url, channels, token, positions, subscribe, clock } = options;
    this.#options = options;
    this.pipelines = [...positions.keys()];
    this.#positions = new Map(positions);
    this.#newest = new Map(positions);
    this.#record = new SharedRecord(positions);
    const onEvent = (event: ClientEvent) => this.#take(event);
    this.#subscription = subscribe(url, {
      pipelines: this.pipelines,
      ...channels.length > 0 && { channels },
      // Without its position, a pipeline begins with what is published from now on.
      history: 0,
      lastEventId: [...positions.values()].join("."),
      token,
      clock,
      onEvent,
      onGap: onEvent,
      onEnd: onEvent,
      onState: (state) => this.#setState(state),
    });
    // The state tells of it as well.
    this.#subscription.closed.catch(() => {});
  }

  /** Whether it has the events of these pipelines. */
  covers(pipelines: readonly string[]): boolean {
    return pipelines.every((each) => this.pipelines.includes(each) && !this.ended.has(each));
  }

  /** Number of pipelines whose run has not ended. */
  get openCount(): number {
    return this.pipelines.length - this.ended.size;
  }

  /**
   * Reads the positions that it has reached. Keep-alives move them as well. Not from within a
   * callback: the newest event may be on its way to this object.
   */
  readPositions(): Positions {
    const moved = readPositions(this.#subscription.lastEventId, this.pipelines);
    return moved ? this.#positions = moved : this.#positions;
  }

  /** Positions up to which its tabs have all events. */
  get delivered(): Positions {
    return this.#positions;
  }

  /** Positions from which on it can feed a tab: it has all events after them. */
  get since(): Positions {
    return this.#record?.since ?? this.#newest;
  }

  /** Feeds a tab which has all events up to {@linkcode SharedStream.since}, and some later ones. */
  feed(tab: Tab): void {
    this.waiting.delete(tab);
    tab.feed(this, this.since);
    this.#replay(tab);
    tab.sendLive();
  }

  /** Continues the feed of a tab, which has all events up to {@linkcode SharedStream.since}. */
  takeOver(tab: Tab): void {
    tab.stream?.tabs.delete(tab);
    tab.stream = this;
    this.tabs.add(tab);
    this.#replay(tab);
  }

  /** Sends a sign of life, with the position. */
  keepAlive(): void {
    if (!this.isLive) return;
    const positions = this.readPositions();
    for (const tab of this.tabs) tab.sendPositions(positions);
  }

  /** Ends a wait, so that the next attempt is made at once. */
  retryNow(): void {
    this.#subscription.retryNow();
  }

  /** Closes it. Its tabs have to be fed by another one. */
  close(): void {
    this.#isClosed = true;
    this.isLive = false;
    this.#cancelTimer();
    this.#subscription.close();
  }

  #take(event: ClientEvent): void {
    if (event.type === "live") return;
    const { pipeline } = event;
    const positions = readPositions(event.id, this.pipelines);
    const id = positions?.get(pipeline);
    if (this.#isClosed || !positions || !id) return;
    const before = { after: this.#newest.get(pipeline)!, upTo: this.#positions.get(pipeline)! };
    this.#positions = positions;
    this.#newest.set(pipeline, id);
    if (event.type === "gap") {
      this.hadGap = true;
      // Another log: each tab gets its own history of it.
      if (event.reason === "unknown") return this.#dismiss(pipeline);
    }
    if (event.type === "end") this.ended.add(pipeline);
    const shared = toSharedEvent(event, id, before);
    this.#record?.add(shared, this.#newest);
    for (const tab of this.tabs) tab.send(shared);
  }

  #setState(state: ConnectionState): void {
    if (this.#isClosed) return;
    if (state.name === "live") return this.#becomeLive();
    if (state.name === "refused") return this.#end(state.reason);
    if (state.name === "ended") return this.#end("The runs have ended");
    if (state.name === "waiting") this.#interrupt(state.reason);
  }

  #becomeLive(): void {
    if (this.isLive) return;
    this.isLive = true;
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(RECORD_MS, () => this.#record = null);
    this.#options.onLive(this);
  }

  #interrupt(reason: string): void {
    this.reason = reason;
    if (!this.isLive) return;
    this.isLive = false;
    this.#cancelTimer();
    this.#record = new SharedRecord(this.#newest);
    const positions = this.readPositions();
    for (const tab of [...this.tabs]) {
      tab.sendPositions(positions);
      tab.stop(reason, false);
      this.waiting.add(tab);
    }
  }

  #end(reason: string): void {
    const tabs = [...this.tabs];
    this.close();
    for (const tab of tabs) tab.stop(reason, true);
    this.#options.onClosed(this);
  }

  /** Ends the feeds of a pipeline. */
  #dismiss(pipeline: string): void {
    this.#record?.restart(this.#newest);
    for (const tab of [...this.tabs]) {
      if (tab.reads(pipeline)) tab.stop("The pipeline has another log", true);
    }
  }

  #replay(tab: Tab): void {
    for (const event of this.#record?.events ?? []) tab.send(event);
  }
}
