/* @ts-self-types="../../client/shared_tab.ts" */
// @ts-nocheck: built from lib/client/shared_tab.ts by "deno task build".

import { lengthOf, WINDOW_COUNT, WINDOW_LENGTH } from "./shared_messages.js";

export class Tab {
  join = null;
  joinedAt = 0;
  isApart = false;
  pipelines = [];
  key = "";
  stream = null;
  wasAsked = false;
  #port;
  #feed = 0;
  #sent = { count: 0, length: 0 };
  #acknowledged = { count: 0, length: 0 };
  #batch = [];

  constructor(port) {
    this.#port = port;
  }

  reads(pipeline) {
    return this.pipelines.includes(pipeline);
  }

  post(message) {
    this.#port.postMessage(message);
  }

  feed(stream, positions) {
    this.stream = stream;
    this.isApart = false;
    stream.tabs.add(this);
    this.#feed = this.join.join;
    this.#sent = { count: 0, length: 0 };
    this.#acknowledged = { count: 0, length: 0 };
    this.#batch = [];
    this.post({ type: "feed", feed: this.#feed, positions: this.#select(positions) });
  }

  send(event) {
    if (!this.reads(event.pipeline)) return;
    this.#count(lengthOf(event));
    if (this.#isBehind) {
      this.#leaveBehind();
      return;
    }
    if (this.#batch.push(event) === 1) queueMicrotask(() => this.#flush());
    if (event.type !== "end") return;
    this.pipelines = this.pipelines.filter((pipeline) => pipeline !== event.pipeline);
  }

  sendPositions(positions) {
    this.#flush();
    this.#count(0);
    if (this.#isBehind) return this.#leaveBehind();
    this.post({ type: "positions", feed: this.#feed, positions: this.#select(positions) });
  }

  sendLive() {
    this.#flush();
    this.#count(0);
    this.post({ type: "live", feed: this.#feed });
  }

  acknowledge(feed, count, length) {
    if (feed === this.#feed) this.#acknowledged = { count, length };
  }

  stop(reason, isPlanned) {
    if (!this.leave()) return;
    this.post({ type: "stop", feed: this.#feed, reason, isPlanned });
  }

  leave() {
    this.#flush();
    const { stream } = this;
    this.stream = null;
    this.isApart = false;
    return stream?.tabs.delete(this) ?? false;
  }

  get #isBehind() {
    return this.#sent.count - this.#acknowledged.count > WINDOW_COUNT ||
      this.#sent.length - this.#acknowledged.length > WINDOW_LENGTH;
  }

  #leaveBehind() {
    this.stop("The tab did not take its events in time", true);
  }

  #count(length) {
    this.#sent.count++;
    this.#sent.length += length;
  }

  #flush() {
    if (this.#batch.length === 0) return;
    this.post({ type: "events", feed: this.#feed, events: this.#batch });
    this.#batch = [];
  }

  #select(positions) {
    return new Map([...positions].filter(([pipeline]) => this.reads(pipeline)));
  }
}

export function isApart(tab) {
  return tab.isApart;
}
