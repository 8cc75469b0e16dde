/* @ts-self-types="../../client/shared_streams.ts" */
// @ts-nocheck: built from lib/client/shared_streams.ts by "deno task build".

import { SharedGroup } from "./shared_group.js";

import { Tab } from "./shared_tab.js";

const MAX_TABS = 200;

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
        return this.#groups.get(tab.key)?.retryNow();
      case "bye":
        return this.disconnect(tab);
    }
  }

  get streamCount() {
    return [...this.#groups.values()].reduce((sum, { streamCount }) => sum + streamCount, 0);
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
    tab.wasAsked = wasAsked;
    this.#groupOf(key).join(tab, message);
  }

  #leave(tab) {
    const wasFed = tab.leave();
    tab.join = null;
    tab.wasAsked = false;
    this.#groups.get(tab.key)?.leave(tab, wasFed);
  }

  #groupOf(key) {
    let group = this.#groups.get(key);
    if (!group) {
      group = new SharedGroup({ ...this.#options, onEmpty: () => this.#groups.delete(key) });
      this.#groups.set(key, group);
      this.#cancelKeepAlive ??= this.#options.clock.after(KEEP_ALIVE_MS, this.#keepAlive);
    }
    return group;
  }

  #keepAlive = () => {
    for (const group of this.#groups.values()) group.keepAlive();
    this.#cancelKeepAlive = this.#groups.size > 0
      ? this.#options.clock.after(KEEP_ALIVE_MS, this.#keepAlive)
      : null;
  };
}

function keyOf({ url, channels, token, share }) {
  const owner = share === undefined ? { token: token ?? null } : { share };
  return JSON.stringify([url, [...new Set(channels)].sort(), owner]);
}
