/* @ts-self-types="../../client/shared_stream.ts" */
// @ts-nocheck: built from lib/client/shared_stream.ts by "deno task build".

import { readPositions } from "./shared_positions.js";
import { toSharedEvent } from "./shared_messages.js";
import { SharedRecord } from "./shared_record.js";

const RECORD_MS = 2_000;

export class SharedStream {
  pipelines;
  ended = new Set();
  tabs = new Set();
  waiting = new Set();
  isLive = false;
  reason = "The shared stream is being opened";
  hadGap = false;
  #options;
  #subscription;
  #positions;
  #newest;
  #record;
  #cancelTimer = () => {};
  #isClosed = false;

  constructor(options) {
    const { url, channels, token, positions, subscribe, clock } = options;
    this.#options = options;
    this.pipelines = [...positions.keys()];
    this.#positions = new Map(positions);
    this.#newest = new Map(positions);
    this.#record = new SharedRecord(positions);
    const onEvent = (event) => this.#take(event);
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

  covers(pipelines) {
    return pipelines.every((each) => this.pipelines.includes(each) && !this.ended.has(each));
  }

  get openCount() {
    return this.pipelines.length - this.ended.size;
  }

  readPositions() {
    const moved = readPositions(this.#subscription.lastEventId, this.pipelines);
    return moved ? this.#positions = moved : this.#positions;
  }

  get delivered() {
    return this.#positions;
  }

  get since() {
    return this.#record?.since ?? this.#newest;
  }

  feed(tab) {
    this.waiting.delete(tab);
    tab.feed(this, this.since);
    this.#replay(tab);
    tab.sendLive();
  }

  takeOver(tab) {
    tab.stream?.tabs.delete(tab);
    tab.stream = this;
    this.tabs.add(tab);
    this.#replay(tab);
  }

  keepAlive() {
    if (!this.isLive) return;
    const positions = this.readPositions();
    for (const tab of this.tabs) tab.sendPositions(positions);
  }

  retryNow() {
    this.#subscription.retryNow();
  }

  close() {
    this.#isClosed = true;
    this.isLive = false;
    this.#cancelTimer();
    this.#subscription.close();
  }

  #take(event) {
    if (event.type === "live") return;
    const { pipeline } = event;
    const positions = readPositions(event.id, this.pipelines);
    const id = positions?.get(pipeline);
    if (this.#isClosed || !positions || !id) return;
    const before = { after: this.#newest.get(pipeline), upTo: this.#positions.get(pipeline) };
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

  #setState(state) {
    if (this.#isClosed) return;
    if (state.name === "live") return this.#becomeLive();
    if (state.name === "refused") return this.#end(state.reason);
    if (state.name === "ended") return this.#end("The runs have ended");
    if (state.name === "waiting") this.#interrupt(state.reason);
  }

  #becomeLive() {
    if (this.isLive) return;
    this.isLive = true;
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(RECORD_MS, () => this.#record = null);
    this.#options.onLive(this);
  }

  #interrupt(reason) {
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

  #end(reason) {
    const tabs = [...this.tabs];
    this.close();
    for (const tab of tabs) tab.stop(reason, true);
    this.#options.onClosed(this);
  }

  #dismiss(pipeline) {
    this.#record?.restart(this.#newest);
    for (const tab of [...this.tabs]) {
      if (tab.reads(pipeline)) tab.stop("The pipeline has another log", true);
    }
  }

  #replay(tab) {
    for (const event of this.#record?.events ?? []) tab.send(event);
  }
}
