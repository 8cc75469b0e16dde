/* @ts-self-types="../../client/shared_streams.ts" */
// @ts-nocheck: built from lib/client/shared_streams.ts by "deno task build".

import { MAX_PIPELINES } from "./shared_messages.js";
import { comparePositions, haveReached } from "./shared_positions.js";
import { SharedStream } from "./shared_stream.js";
import { Tab } from "./shared_tab.js";

const MAX_TABS = 200;

const COLLECT_MS = 50;

const ANSWER_MS = 250;

const FRESH_MS = 3_000;

const LINGER_MS = 5_000;

const OPEN_MS = 10_000;

const PAUSE_MS = 30_000;

const KEEP_ALIVE_MS = 10_000;

export class SharedStreams {
  #options;
  #tabs = new Set();
  #groups = new Map();
  #cancelKeepAlive = null;

  constructor(options) {
    this.#options = options;
  }

  connect(port) {
    const tab = new Tab(port);
    if (this.#tabs.size < MAX_TABS) this.#tabs.add(tab);
    return tab;
  }

  disconnect(tab) {
    this.#leave(tab);
    this.#tabs.delete(tab);
  }

  take(tab, message) {
    switch (message.type) {
      case "join":
        return this.#join(tab, message);
      case "acknowledge":
        return tab.acknowledge(message.feed, message.count, message.length);
      case "leave":
        return this.#leave(tab);
      case "retry":
        for (const stream of this.#groups.get(tab.key)?.streams ?? []) stream.retryNow();
        return;
      case "bye":
        return this.disconnect(tab);
    }
  }

  get streamCount() {
    let count = 0;
    for (const { streams, opening } of this.#groups.values()) count += streams.size + opening.size;
    return count;
  }

  #join(tab, message) {
    if (!this.#tabs.has(tab)) return tab.post({ type: "alone", join: message.join });
    const key = keyOf(message);
    const { wasAsked } = tab;
    if (tab.key !== key || tab.stream) this.#leave(tab);
    tab.join = message;
    tab.joinedAt = this.#options.clock.now();
    tab.isApart = message.hasStream;
    tab.pipelines = message.pipelines;
    tab.key = key;
    tab.wasAsked = false;
    const group = this.#groupOf(key);
    group.tabs.add(tab);
    for (const each of group.streams) each.waiting.delete(tab);
    const stream = [...group.streams].find((each) => each.covers(message.pipelines));
    if (!message.hasStream) return this.#resume(tab, message, stream);
    if (stream?.isLive) return stream.feed(tab);
    if (group.isAsking && wasAsked) {
      if (![...group.tabs].some((each) => each.wasAsked)) this.#choose(group);
      return;
    }
    if (!stream) this.#plan(group, COLLECT_MS);
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

  #leave(tab) {
    const wasFed = tab.leave();
    tab.join = null;
    tab.wasAsked = false;
    const group = this.#groups.get(tab.key);
    if (!group) return;
    group.tabs.delete(tab);
    for (const stream of group.streams) stream.waiting.delete(tab);
    const until = this.#options.clock.now() + LINGER_MS;
    if (wasFed) { for (const pipeline of tab.pipelines) group.lingering.set(pipeline, until); }
    this.#plan(group, LINGER_MS);
  }

  #groupOf(key) {
    let group = this.#groups.get(key);
    if (!group) {
      group = {
        key,
        tabs: new Set(),
        streams: new Set(),
        opening: new Map(),
        lingering: new Map(),
        isAsking: false,
        dueAt: Infinity,
        cancelPlan: () => {},
        cancelAnswers: () => {},
        pausedUntil: 0,
      };
      this.#groups.set(key, group);
      this.#cancelKeepAlive ??= this.#options.clock.after(KEEP_ALIVE_MS, this.#keepAlive);
    }
    return group;
  }

  #plan(group, ms) {
    const { clock } = this.#options;
    const dueAt = clock.now() + ms;
    const isRemoved = this.#groups.get(group.key) !== group;
    if (isRemoved || group.isAsking || dueAt >= group.dueAt) return;
    group.dueAt = dueAt;
    group.cancelPlan();
    group.cancelPlan = clock.after(ms, () => {
      group.dueAt = Infinity;
      this.#ask(group);
    });
  }

  #ask(group) {
    this.#closeUnused(group);
    if (group.tabs.size + group.streams.size === 0) return this.#remove(group);
    // What comes next depends on them: it is chosen once they are live.
    if (group.opening.size > 0 || [...group.streams].some((each) => !each.isLive)) return;
    const apart = [...group.tabs].filter(isApart);
    if (apart.length + group.streams.size < 2 || apart.length === 0) return this.#choose(group);
    if (this.#pause(group) > 0) return this.#plan(group, this.#pause(group));
    group.isAsking = true;
    group.cancelAnswers = this.#options.clock.after(ANSWER_MS, () => this.#choose(group));
    const since = this.#options.clock.now() - FRESH_MS;
    for (const tab of apart) {
      // A frozen tab has one message to answer, however often it would be asked.
      if (tab.wasAsked || tab.joinedAt > since) continue;
      tab.post({ type: "where" });
      tab.wasAsked = true;
    }
    if (!apart.some((tab) => tab.wasAsked)) this.#choose(group);
  }

  #choose(group) {
    group.isAsking = false;
    group.cancelAnswers();
    this.#closeUnused(group);
    const choices = [];
    for (const stream of group.streams) {
      const positions = stream.readPositions();
      const tabs = [...stream.tabs, ...stream.waiting];
      const needed = stream.pipelines.filter((each) =>
        tabs.some((tab) => tab.reads(each)) || group.lingering.has(each)
      );
      if (stream.isLive && tabs.length > 0) {
        this.#merge(group, choices, pick(positions, needed)).streams.push(stream);
      }
    }
    for (const tab of group.tabs) {
      if (!isApart(tab) || tab.wasAsked) continue;
      const stream = [...group.streams].find((each) => each.covers(tab.pipelines));
      if (stream) {
        if (stream.isLive) stream.feed(tab);
        continue;
      }
      const positions = pick(tab.join.positions, tab.pipelines);
      this.#merge(group, choices, positions).tabs.push(tab);
    }
    // A tab alone keeps its stream.
    const changes = choices.filter(({ streams, positions, tabs }) =>
      streams.length + tabs.length > 1 ||
      streams.some((each) => each.openCount !== positions.size)
    );
    if (changes.length > 0 && this.#pause(group) > 0) return this.#plan(group, this.#pause(group));
    for (const choice of changes) this.#open(group, choice);
  }

  #closeUnused(group) {
    const now = this.#options.clock.now();
    for (const [pipeline, until] of group.lingering) {
      if (until <= now) group.lingering.delete(pipeline);
      else this.#plan(group, until - now);
    }
    for (const stream of group.streams) {
      const isUsed = stream.tabs.size + stream.waiting.size > 0;
      const isLingering = stream.pipelines.some((each) => group.lingering.has(each));
      if (!isUsed && !isLingering) this.#close(group, stream);
    }
  }

  #merge(group, choices, positions) {
    // The log of a pipeline has just been replaced, and not everybody knows it yet.
    if (choices.some((each) => isForeign(each.positions, positions))) this.#plan(group, FRESH_MS);
    const choice = choices.find((each) =>
      new Set([...each.positions.keys(), ...positions.keys()]).size <= MAX_PIPELINES &&
      !isForeign(each.positions, positions)
    );
    if (!choice) {
      choices.push({ streams: [], positions, tabs: [] });
      return choices.at(-1);
    }
    for (const [pipeline, position] of positions) {
      const other = choice.positions.get(pipeline);
      // The first one has what all need.
      if (!other || comparePositions(position, other) < 0) {
        choice.positions.set(pipeline, position);
      }
    }
    return choice;
  }

  #pause(group) {
    return group.pausedUntil - this.#options.clock.now();
  }

  #open(group, { streams, positions, tabs }) {
    const members = [...tabs, ...streams.flatMap((each) => [...each.tabs, ...each.waiting])];
    // Tabs that share by name have tokens of different ages.
    const newest = members.reduce((a, b) => b.joinedAt > a.joinedAt ? b : a);
    const { url, channels, token } = newest.join;
    const { subscribe, clock } = this.#options;
    const stream = new SharedStream({
      url,
      channels,
      token,
      positions,
      subscribe,
      clock,
      onLive: () => this.#live(group, stream),
      onClosed: () => this.#closed(group, stream),
    });
    group.opening.set(stream, streams);
    clock.after(OPEN_MS, () => {
      if (group.opening.has(stream)) this.#fail(group, stream);
    });
  }

  #live(group, stream) {
    const replaced = group.opening.get(stream);
    if (replaced) {
      if (!replaced.every((each) => canReplace(stream, each))) return this.#fail(group, stream);
      group.opening.delete(stream);
      group.streams.add(stream);
      for (const each of replaced) this.#replace(group, each, stream);
    }
    for (const tab of stream.waiting) tab.post({ type: "poke" });
    this.#options.clock.after(LINGER_MS, () => {
      // Whoever has not come back is frozen, and continues by itself.
      if (stream.isLive) stream.waiting.clear();
      this.#plan(group, COLLECT_MS);
    });
    for (const tab of group.tabs) {
      if (isApart(tab) && !tab.wasAsked && stream.covers(tab.pipelines)) stream.feed(tab);
    }
    this.#plan(group, COLLECT_MS);
  }

  #replace(group, replaced, stream) {
    for (const tab of [...replaced.tabs]) {
      if (stream.covers(tab.pipelines)) stream.takeOver(tab);
      else tab.stop("The shared stream has changed", true);
    }
    for (const tab of replaced.waiting) stream.waiting.add(tab);
    this.#close(group, replaced);
  }

  #fail(group, stream) {
    stream.close();
    this.#closed(group, stream);
  }

  #close(group, stream) {
    stream.close();
    group.streams.delete(stream);
  }

  #closed(group, stream) {
    if (group.opening.delete(stream)) {
      group.pausedUntil = this.#options.clock.now() + PAUSE_MS;
    }
    group.streams.delete(stream);
    // They ask for a stream, and learn that there is none.
    for (const tab of stream.waiting) tab.post({ type: "poke" });
    stream.waiting.clear();
    this.#plan(group, COLLECT_MS);
  }

  #remove(group) {
    group.cancelPlan();
    for (const stream of [...group.streams, ...group.opening.keys()]) stream.close();
    this.#groups.delete(group.key);
  }

  #keepAlive = () => {
    for (const { streams } of this.#groups.values()) {
      for (const stream of streams) stream.keepAlive();
    }
    this.#cancelKeepAlive = this.#groups.size > 0
      ? this.#options.clock.after(KEEP_ALIVE_MS, this.#keepAlive)
      : null;
  };
}

function isApart(tab) {
  return tab.isApart;
}

function keyOf({ url, channels, token, share }) {
  const owner = share === undefined ? { token: token ?? null } : { share };
  return JSON.stringify([url, [...new Set(channels)].sort(), owner]);
}

function pick(positions, pipelines) {
  return new Map(pipelines.map((pipeline) => [pipeline, positions.get(pipeline)]));
}

function isForeign(positions, others) {
  return [...others].some(([pipeline, position]) =>
    positions.has(pipeline) && Number.isNaN(comparePositions(position, positions.get(pipeline)))
  );
}

function canReplace(stream, replaced) {
  const common = stream.pipelines.filter((each) => replaced.covers([each]));
  return !stream.hadGap && haveReached(replaced.delivered, stream.since, common);
}
