/**
 * A group of tabs that may share streams.
 *
 * @module
 */

import { chooseStreams } from "./shared_choice.ts";
import type { JoinMessage } from "./shared_messages.ts";
import { SharedPool, type SharedPoolOptions } from "./shared_pool.ts";
import { haveReached } from "./shared_positions.ts";
import type { SharedStream } from "./shared_stream.ts";
import { type ApartTab, isApart, type Tab } from "./shared_tab.ts";

/** Time in which changes are collected, in milliseconds. */
const COLLECT_MS = 50;

/** Time that tabs have to tell their positions. A frozen tab does not answer. */
const ANSWER_MS = 250;

/** Age of a position up to which a tab is not asked for another one, in milliseconds. */
const FRESH_MS = 3_000;

/** Time that a pipeline stays on a stream after its last tab: a reload leaves and comes back. */
const LINGER_MS = 5_000;

/** Options for {@linkcode SharedGroup}. */
export interface SharedGroupOptions extends Pick<SharedPoolOptions, "subscribe" | "clock"> {
  /** Called when it has neither tabs nor streams any more. It is not used again. */
  onEmpty: () => void;
}

/** Tabs that may share streams: those with the same service, channels and token. */
export class SharedGroup {
  readonly #options: SharedGroupOptions;
  readonly #tabs = new Set<Tab>();
  readonly #pool: SharedPool;
  /** Time until which a pipeline stays on its stream without a tab, as a rule. */
  readonly #lingering = new Map<string, number>();
  /** Whether tabs were asked for their positions, so that streams are chosen soon. */
  #isAsking = false;
  /** Time of the next choice, in milliseconds since the Unix epoch. */
  #dueAt = Infinity;
  #cancelPlan = () => {};
  #cancelAnswers = () => {};
  #isRemoved = false;

  constructor(options: SharedGroupOptions) {
    const { subscribe, clock } = options;
    this.#options = options;
    this.#pool = new SharedPool({
      subscribe,
      clock,
      onLive: (stream) => this.#feedFrom(stream),
      onChange: () => this.#plan(COLLECT_MS),
    });
  }

  /** Number of streams that are open or being opened. */
  get streamCount(): number {
    return this.#pool.size;
  }

  /** Takes a tab that has joined, or tells its position anew. */
  join(tab: Tab, message: JoinMessage): void {
    const { wasAsked } = tab;
    tab.wasAsked = false;
    this.#tabs.add(tab);
    this.#pool.forget(tab);
    const stream = this.#pool.find(message.pipelines);
    if (!message.hasStream) return this.#resume(tab, message, stream);
    if (stream?.isLive) return stream.feed(tab);
    if (this.#isAsking && wasAsked) {
      if (![...this.#tabs].some((each) => each.wasAsked)) this.#choose();
      return;
    }
    if (!stream) this.#plan(COLLECT_MS);
  }

  /** Removes a tab. Its pipelines stay for a while if it was fed. */
  leave(tab: Tab, wasFed: boolean): void {
    this.#tabs.delete(tab);
    this.#pool.forget(tab);
    const until = this.#options.clock.now() + LINGER_MS;
    if (wasFed) { for (const pipeline of tab.pipelines) this.#lingering.set(pipeline, until); }
    this.#plan(LINGER_MS);
  }

  /** Ends the waits of its streams, so that the next attempts are made at once. */
  retryNow(): void {
    for (const stream of this.#pool.streams) stream.retryNow();
  }

  /** Sends signs of life to its tabs. */
  keepAlive(): void {
    for (const stream of this.#pool.streams) stream.keepAlive();
  }

  /** Continues without a stream of the tab's own, if that is exact. */
  #resume(tab: Tab, message: JoinMessage, stream: SharedStream | undefined): void {
    if (stream && !stream.isLive) {
      stream.waiting.add(tab);
      return tab.post({ type: "down", join: message.join, reason: stream.reason });
    }
    if (stream && haveReached(message.positions, stream.since, message.pipelines)) {
      return stream.feed(tab);
    }
    tab.join = null;
    tab.post({ type: "alone", join: message.join });
  }

  /** Chooses streams for the tabs of the group in some milliseconds, or before. */
  #plan(ms: number): void {
    const { clock } = this.#options;
    const dueAt = clock.now() + ms;
    if (this.#isRemoved || this.#isAsking || dueAt >= this.#dueAt) return;
    this.#dueAt = dueAt;
    this.#cancelPlan();
    this.#cancelPlan = clock.after(ms, () => {
      this.#dueAt = Infinity;
      this.#ask();
    });
  }

  /** Asks the tabs that have streams of their own how far these are. */
  #ask(): void {
    this.#closeUnused();
    const { streams, isSettled, pauseMs } = this.#pool;
    if (this.#tabs.size + streams.size === 0) return this.#remove();
    // What comes next depends on the streams that are not live: it is chosen once they are.
    if (!isSettled) return;
    const apart = [...this.#tabs].filter(isApart);
    if (apart.length + streams.size < 2 || apart.length === 0) return this.#choose();
    if (pauseMs > 0) return this.#plan(pauseMs);
    this.#isAsking = true;
    this.#cancelAnswers = this.#options.clock.after(ANSWER_MS, () => this.#choose());
    const since = this.#options.clock.now() - FRESH_MS;
    for (const tab of apart) {
      // A frozen tab has one message to answer, however often it would be asked.
      if (tab.wasAsked || tab.joinedAt > since) continue;
      tab.post({ type: "where" });
      tab.wasAsked = true;
    }
    if (!apart.some((tab) => tab.wasAsked)) this.#choose();
  }

  /** Chooses the streams of the group. */
  #choose(): void {
    this.#isAsking = false;
    this.#cancelAnswers();
    this.#closeUnused();
    const apart: ApartTab[] = [];
    for (const tab of this.#tabs) {
      if (!isApart(tab) || tab.wasAsked) continue;
      const stream = this.#pool.find(tab.pipelines);
      if (!stream) apart.push(tab);
      else if (stream.isLive) stream.feed(tab);
    }
    const { changes, hasForeign } = chooseStreams({
      streams: this.#pool.streams,
      tabs: apart,
      isLingering: (pipeline) => this.#lingering.has(pipeline),
    });
    if (hasForeign) this.#plan(FRESH_MS);
    const { pauseMs } = this.#pool;
    if (changes.length > 0 && pauseMs > 0) return this.#plan(pauseMs);
    for (const choice of changes) this.#pool.open(choice);
  }

  /** Closes the streams that no tab has needed for some seconds. */
  #closeUnused(): void {
    const now = this.#options.clock.now();
    for (const [pipeline, until] of this.#lingering) {
      if (until <= now) this.#lingering.delete(pipeline);
      else this.#plan(until - now);
    }
    for (const stream of this.#pool.streams) {
      const isUsed = stream.tabs.size + stream.waiting.size > 0;
      const isLingering = stream.pipelines.some((each) => this.#lingering.has(each));
      if (!isUsed && !isLingering) this.#pool.close(stream);
    }
  }

  /** Feeds the tabs that a stream covers, which is live. */
  #feedFrom(stream: SharedStream): void {
    for (const tab of this.#tabs) {
      if (isApart(tab) && !tab.wasAsked && stream.covers(tab.pipelines)) stream.feed(tab);
    }
  }

  #remove(): void {
    this.#isRemoved = true;
    this.#cancelPlan();
    this.#pool.closeAll();
    this.#options.onEmpty();
  }
}
