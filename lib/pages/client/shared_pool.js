/* @ts-self-types="../../client/shared_pool.ts" */
// @ts-nocheck: built from lib/client/shared_pool.ts by "deno task build".

import { canReplace } from "./shared_choice.js";
import { SharedStream } from "./shared_stream.js";

const OPEN_MS = 10_000;

const PAUSE_MS = 30_000;

const RETURN_MS = 5_000;

export class SharedPool {
  #options;
  #streams = new Set();
  #opening = new Map();
  #pausedUntil = 0;

  constructor(options) {
    this.#options = options;
  }

  get streams() {
    return this.#streams;
  }

  get size() {
    return this.#streams.size + this.#opening.size;
  }

  get isSettled() {
    return this.#opening.size === 0 && [...this.#streams].every((each) => each.isLive);
  }

  get pauseMs() {
    return this.#pausedUntil - this.#options.clock.now();
  }

  find(pipelines) {
    return [...this.#streams].find((each) => each.covers(pipelines));
  }

  forget(tab) {
    for (const each of this.#streams) each.waiting.delete(tab);
  }

  open({ streams, positions, tabs }) {
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
      onLive: () => this.#live(stream),
      onClosed: () => this.#closed(stream),
    });
    this.#opening.set(stream, streams);
    clock.after(OPEN_MS, () => {
      if (this.#opening.has(stream)) this.#fail(stream);
    });
  }

  close(stream) {
    stream.close();
    this.#streams.delete(stream);
  }

  closeAll() {
    for (const stream of [...this.#streams, ...this.#opening.keys()]) stream.close();
  }

  #live(stream) {
    const replaced = this.#opening.get(stream);
    if (replaced) {
      if (!replaced.every((each) => canReplace(stream, each))) return this.#fail(stream);
      this.#opening.delete(stream);
      this.#streams.add(stream);
      for (const each of replaced) this.#replace(each, stream);
    }
    for (const tab of stream.waiting) tab.post({ type: "poke" });
    this.#options.clock.after(RETURN_MS, () => {
      // Whoever has not come back is frozen, and continues by itself.
      if (stream.isLive) stream.waiting.clear();
      this.#options.onChange();
    });
    this.#options.onLive(stream);
    this.#options.onChange();
  }

  #replace(replaced, stream) {
    for (const tab of [...replaced.tabs]) {
      if (stream.covers(tab.pipelines)) stream.takeOver(tab);
      else tab.stop("The shared stream has changed", true);
    }
    for (const tab of replaced.waiting) stream.waiting.add(tab);
    this.close(replaced);
  }

  #fail(stream) {
    stream.close();
    this.#closed(stream);
  }

  #closed(stream) {
    if (this.#opening.delete(stream)) {
      this.#pausedUntil = this.#options.clock.now() + PAUSE_MS;
    }
    this.#streams.delete(stream);
    // They ask for a stream, and learn that there is none.
    for (const tab of stream.waiting) tab.post({ type: "poke" });
    stream.waiting.clear();
    this.#options.onChange();
  }
}
