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

import { SharedGroup, type SharedGroupOptions } from "./shared_group.ts";
import type { JoinMessage, TabMessage } from "./shared_messages.ts";
import { Tab, type TabPort } from "./shared_tab.ts";

/** Maximum number of tabs. Further ones keep their own streams. */
const MAX_TABS = 200;

/** Interval of signs of life to the tabs, in milliseconds. */
const KEEP_ALIVE_MS = 10_000;

/** Options for {@linkcode SharedStreams}. */
export type SharedStreamsOptions = Omit<SharedGroupOptions, "onEmpty">;

/** Shared streams, by the tabs that have asked for them. */
export class SharedStreams {
  readonly #options: SharedStreamsOptions;
  readonly #tabs = new Set<Tab>();
  readonly #groups = new Map<string, SharedGroup>();
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
        return this.#groups.get(tab.key)?.retryNow();
      case "bye":
        return this.disconnect(tab);
    }
  }

  /** Number of streams that are open or being opened. */
  get streamCount(): number {
    return [...this.#groups.values()].reduce((sum, { streamCount }) => sum + streamCount, 0);
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
    tab.wasAsked = wasAsked;
    this.#groupOf(key).join(tab, message);
  }

  #leave(tab: Tab): void {
    const wasFed = tab.leave();
    tab.join = null;
    tab.wasAsked = false;
    this.#groups.get(tab.key)?.leave(tab, wasFed);
  }

  #groupOf(key: string): SharedGroup {
    let group = this.#groups.get(key);
    if (!group) {
      group = new SharedGroup({ ...this.#options, onEmpty: () => this.#groups.delete(key) });
      this.#groups.set(key, group);
      this.#cancelKeepAlive ??= this.#options.clock.after(KEEP_ALIVE_MS, this.#keepAlive);
    }
    return group;
  }

  readonly #keepAlive = () => {
    for (const group of this.#groups.values()) group.keepAlive();
    this.#cancelKeepAlive = this.#groups.size > 0
      ? this.#options.clock.after(KEEP_ALIVE_MS, this.#keepAlive)
      : null;
  };
}

function keyOf({ url, channels, token, share }: JoinMessage): string {
  const owner = share === undefined ? { token: token ?? null } : { share };
  return JSON.stringify([url, [...new Set(channels)].sort(), owner]);
}
