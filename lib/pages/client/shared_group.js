/* @ts-self-types="../../client/shared_group.ts" */
// @ts-nocheck: built from lib/client/shared_group.ts by "deno task build".

import { chooseStreams } from "./shared_choice.js";

import { SharedPool } from "./shared_pool.js";
import { haveReached } from "./shared_positions.js";

import { isApart } from "./shared_tab.js";

const COLLECT_MS = 50;

const ANSWER_MS = 250;

const FRESH_MS = 3_000;

const LINGER_MS = 5_000;

export class SharedGroup {
  #options;
  #tabs = new Set();
  #pool;
  #lingering = new Map();
  #isAsking = false;
  #dueAt = Infinity;
  #cancelPlan = () => {};
  #cancelAnswers = () => {};
  #isRemoved = false;

  constructor(options) {
    const { subscribe, clock } = options;
    this.#options = options;
    this.#pool = new SharedPool({
      subscribe,
      clock,
      onLive: (stream) => this.#feedFrom(stream),
      onChange: () => this.#plan(COLLECT_MS),
    });
  }

  get streamCount() {
    return this.#pool.size;
  }

  join(tab, message) {
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

  leave(tab, wasFed) {
    this.#tabs.delete(tab);
    this.#pool.forget(tab);
    const until = this.#options.clock.now() + LINGER_MS;
    if (wasFed) { for (const pipeline of tab.pipelines) this.#lingering.set(pipeline, until); }
    this.#plan(LINGER_MS);
  }

  retryNow() {
    for (const stream of this.#pool.streams) stream.retryNow();
  }

  keepAlive() {
    for (const stream of this.#pool.streams) stream.keepAlive();
  }

  #resume(tab, message, stream) {
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

  #plan(ms) {
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

  #ask() {
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

  #choose() {
    this.#isAsking = false;
    this.#cancelAnswers();
    this.#closeUnused();
    const apart = [];
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

  #closeUnused() {
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

  #feedFrom(stream) {
    for (const tab of this.#tabs) {
      if (isApart(tab) && !tab.wasAsked && stream.covers(tab.pipelines)) stream.feed(tab);
    }
  }

  #remove() {
    this.#isRemoved = true;
    this.#cancelPlan();
    this.#pool.closeAll();
    this.#options.onEmpty();
  }
}
