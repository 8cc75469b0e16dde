/**
 * The streams that the tabs of an origin share. It uses no API of a worker, so that a test can
 * play one.
 *
 * A tab begins with a stream of its own, with its own history and position. Once that is live, the
 * tab tells its position and is fed from here, and leaves its own stream when it has all events
 * that the feed does not bring. So everything that is not plain, such as a history, a filter or a
 * refusal, is the service's own answer to that tab, and what is shared is only what all receive
 * alike: new events. While a tab is alone, nothing is shared, and it keeps its own stream.
 *
 * @module
 */

import { type JoinMessage, MAX_PIPELINES, type TabMessage } from "./shared_messages.ts";
import { comparePositions, haveReached, type Positions } from "./shared_positions.ts";
import { SharedStream, type Subscribe } from "./shared_stream.ts";
import { Tab, type TabPort } from "./shared_tab.ts";
import type { ClientClock } from "./subscribe_options.ts";

/** Maximum number of tabs. Further ones keep their own streams. */
const MAX_TABS = 200;

/** Time in which changes are collected, in milliseconds. */
const COLLECT_MS = 50;

/** Time that tabs have to tell their positions. A frozen tab does not answer. */
const ANSWER_MS = 250;

/** Age of a position up to which a tab is not asked for another one, in milliseconds. */
const FRESH_MS = 3_000;

/** Time that a pipeline stays on a stream after its last tab: a reload leaves and comes back. */
const LINGER_MS = 5_000;

/** Time that a new stream has to become live, in milliseconds. */
const OPEN_MS = 10_000;

/** Pause after a stream that could not be opened, in milliseconds. */
const PAUSE_MS = 30_000;

/** Interval of signs of life to the tabs, in milliseconds. */
const KEEP_ALIVE_MS = 10_000;

/** Options for {@linkcode SharedStreams}. */
export interface SharedStreamsOptions {
  subscribe: Subscribe;
  clock: ClientClock;
}

/** Tabs that may share streams: those with the same service, channels and token. */
interface Group {
  readonly key: string;
  readonly tabs: Set<Tab>;
  /** Streams that feed tabs, or will once they are live. */
  readonly streams: Set<SharedStream>;
  /** Streams that are not live yet, with those that they will replace. */
  readonly opening: Map<SharedStream, readonly SharedStream[]>;
  /** Time until which a pipeline stays on its stream without a tab, as a rule. */
  readonly lingering: Map<string, number>;
  /** Whether tabs were asked for their positions, so that streams are chosen soon. */
  isAsking: boolean;
  /** Time of the next choice, in milliseconds since the Unix epoch. */
  dueAt: number;
  cancelPlan: () => void;
  cancelAnswers: () => void;
  /** Earliest time of the next new stream, after one has failed. */
  pausedUntil: number;
}

/** A stream that a group could have. */
interface Choice {
  /** Streams that it replaces. */
  readonly streams: SharedStream[];
  readonly positions: Positions;
  /** Tabs that would leave their own streams for it. */
  readonly tabs: Tab[];
}

/** Shared streams, by the tabs that have asked for them. */
export class SharedStreams {
  readonly #options: SharedStreamsOptions;
  readonly #tabs = new Set<Tab>();
  readonly #groups = new Map<string, Group>();
  #cancelKeepAlive: (() => void) | null = null;

  constructor(options: SharedStreamsOptions) {
    this.#options = options;
  }

  /** Adds a tab, by the port to it. Beyond a number of tabs, it shares nothing. */
  connect(port: TabPort): Tab {
    const tab = new Tab(port);
    if (this.#tabs.size < MAX_TABS) this.#tabs.add(tab);
    return tab;
  }

  /** Removes a tab that is gone. */
  disconnect(tab: Tab): void {
    this.#leave(tab);
    this.#tabs.delete(tab);
  }

  /** Takes a message of a tab. */
  take(tab: Tab, message: TabMessage): void {
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

  /** Number of streams that are open or being opened. */
  get streamCount(): number {
    let count = 0;
    for (const { streams, opening } of this.#groups.values()) count += streams.size + opening.size;
    return count;
  }

  #join(tab: Tab, message: JoinMessage): void {
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

  #leave(tab: Tab): void {
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

  #groupOf(key: string): Group {
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

  /** Chooses streams for the tabs of a group in some milliseconds, or before. */
  #plan(group: Group, ms: number): void {
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

  /** Asks the tabs that have streams of their own how far these are. */
  #ask(group: Group): void {
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

  /** Chooses the streams of a group: as few as its tabs need. */
  #choose(group: Group): void {
    group.isAsking = false;
    group.cancelAnswers();
    this.#closeUnused(group);
    const choices: Choice[] = [];
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

  /** Closes the streams that no tab has needed for some seconds. */
  #closeUnused(group: Group): void {
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

  /** Returns the first choice that can have some pipelines as well, from these positions on. */
  #merge(group: Group, choices: Choice[], positions: Positions): Choice {
    // The log of a pipeline has just been replaced, and not everybody knows it yet.
    if (choices.some((each) => isForeign(each.positions, positions))) this.#plan(group, FRESH_MS);
    const choice = choices.find((each) =>
      new Set([...each.positions.keys(), ...positions.keys()]).size <= MAX_PIPELINES &&
      !isForeign(each.positions, positions)
    );
    if (!choice) {
      choices.push({ streams: [], positions, tabs: [] });
      return choices.at(-1)!;
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

  /** Time until the group may open another stream, in milliseconds; negative if it may now. */
  #pause(group: Group): number {
    return group.pausedUntil - this.#options.clock.now();
  }

  /** Opens a stream; once it is live, it replaces others. */
  #open(group: Group, { streams, positions, tabs }: Choice): void {
    const members = [...tabs, ...streams.flatMap((each) => [...each.tabs, ...each.waiting])];
    // Tabs that share by name have tokens of different ages.
    const newest = members.reduce((a, b) => b.joinedAt > a.joinedAt ? b : a);
    const { url, channels, token } = newest.join!;
    const { subscribe, clock } = this.#options;
    const stream: SharedStream = new SharedStream({
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

  #live(group: Group, stream: SharedStream): void {
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

  /** Lets a stream feed the tabs of another one, which it closes. */
  #replace(group: Group, replaced: SharedStream, stream: SharedStream): void {
    for (const tab of [...replaced.tabs]) {
      if (stream.covers(tab.pipelines)) stream.takeOver(tab);
      else tab.stop("The shared stream has changed", true);
    }
    for (const tab of replaced.waiting) stream.waiting.add(tab);
    this.#close(group, replaced);
  }

  /** Gives up a stream that is being opened. */
  #fail(group: Group, stream: SharedStream): void {
    stream.close();
    this.#closed(group, stream);
  }

  #close(group: Group, stream: SharedStream): void {
    stream.close();
    group.streams.delete(stream);
  }

  #closed(group: Group, stream: SharedStream): void {
    if (group.opening.delete(stream)) {
      group.pausedUntil = this.#options.clock.now() + PAUSE_MS;
    }
    group.streams.delete(stream);
    // They ask for a stream, and learn that there is none.
    for (const tab of stream.waiting) tab.post({ type: "poke" });
    stream.waiting.clear();
    this.#plan(group, COLLECT_MS);
  }

  #remove(group: Group): void {
    group.cancelPlan();
    for (const stream of [...group.streams, ...group.opening.keys()]) stream.close();
    this.#groups.delete(group.key);
  }

  readonly #keepAlive = () => {
    for (const { streams } of this.#groups.values()) {
      for (const stream of streams) stream.keepAlive();
    }
    this.#cancelKeepAlive = this.#groups.size > 0
      ? this.#options.clock.after(KEEP_ALIVE_MS, this.#keepAlive)
      : null;
  };
}

/** A tab with a stream of its own, which it may leave. */
type ApartTab = Tab & { join: JoinMessage };

function isApart(tab: Tab): tab is ApartTab {
  return tab.isApart;
}

function keyOf({ url, channels, token, share }: JoinMessage): string {
  const owner = share === undefined ? { token: token ?? null } : { share };
  return JSON.stringify([url, [...new Set(channels)].sort(), owner]);
}

function pick(positions: ReadonlyMap<string, string>, pipelines: readonly string[]): Positions {
  return new Map(pipelines.map((pipeline) => [pipeline, positions.get(pipeline)!]));
}

/** Whether some positions are of another log than others. */
function isForeign(positions: Positions, others: Positions): boolean {
  return [...others].some(([pipeline, position]) =>
    positions.has(pipeline) && Number.isNaN(comparePositions(position, positions.get(pipeline)))
  );
}

/** Whether a stream that is live has what the tabs of another one are to receive next. */
function canReplace(stream: SharedStream, replaced: SharedStream): boolean {
  const common = stream.pipelines.filter((each) => replaced.covers([each]));
  return !stream.hadGap && haveReached(replaced.delivered, stream.since, common);
}
