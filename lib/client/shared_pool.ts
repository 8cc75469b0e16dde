/**
 * The shared streams of a group.
 *
 * @module
 */

import { canReplace, type Choice } from "./shared_choice.ts";
import { SharedStream, type Subscribe } from "./shared_stream.ts";
import type { Tab } from "./shared_tab.ts";
import type { ClientClock } from "./subscribe_options.ts";

/** Time that a new stream has to become live, in milliseconds. */
const OPEN_MS = 10_000;

/** Pause after a stream that could not be opened, in milliseconds. */
const PAUSE_MS = 30_000;

/** Time that tabs have to come back to a stream that is live again, in milliseconds. */
const RETURN_MS = 5_000;

/** Options for {@linkcode SharedPool}. */
export interface SharedPoolOptions {
  subscribe: Subscribe;
  clock: ClientClock;
  /** Called when a stream is live, also for another time. */
  onLive: (stream: SharedStream) => void;
  /** Called when the group may need other streams. */
  onChange: () => void;
}

/** Streams that feed the tabs of a group, and those that are to replace them. */
export class SharedPool {
  readonly #options: SharedPoolOptions;
  readonly #streams = new Set<SharedStream>();
  /** Streams that are not live yet, with those that they will replace. */
  readonly #opening = new Map<SharedStream, readonly SharedStream[]>();
  /** Earliest time of the next new stream, after one has failed. */
  #pausedUntil = 0;

  constructor(options: SharedPoolOptions) {
    this.#options = options;
  }

  /** Streams that feed tabs, or will once they are live again. */
  get streams(): ReadonlySet<SharedStream> {
    return this.#streams;
  }

  /** Number of streams that are open or being opened. */
  get size(): number {
    return this.#streams.size + this.#opening.size;
  }

  /** Whether all of its streams are live. */
  get isSettled(): boolean {
    return this.#opening.size === 0 && [...this.#streams].every((each) => each.isLive);
  }

  /** Time until another stream may be opened, in milliseconds; negative if it may now. */
  get pauseMs(): number {
    return this.#pausedUntil - this.#options.clock.now();
  }

  /** Returns the stream that has some pipelines. */
  find(pipelines: readonly string[]): SharedStream | undefined {
    return [...this.#streams].find((each) => each.covers(pipelines));
  }

  /** Keeps no place for a tab any more. */
  forget(tab: Tab): void {
    for (const each of this.#streams) each.waiting.delete(tab);
  }

  /** Opens a stream; once it is live, it replaces others. */
  open({ streams, positions, tabs }: Choice): void {
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
      onLive: () => this.#live(stream),
      onClosed: () => this.#closed(stream),
    });
    this.#opening.set(stream, streams);
    clock.after(OPEN_MS, () => {
      if (this.#opening.has(stream)) this.#fail(stream);
    });
  }

  /** Closes a stream. */
  close(stream: SharedStream): void {
    stream.close();
    this.#streams.delete(stream);
  }

  /** Closes all streams. */
  closeAll(): void {
    for (const stream of [...this.#streams, ...this.#opening.keys()]) stream.close();
  }

  #live(stream: SharedStream): void {
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

  /** Lets a stream feed the tabs of another one, which it closes. */
  #replace(replaced: SharedStream, stream: SharedStream): void {
    for (const tab of [...replaced.tabs]) {
      if (stream.covers(tab.pipelines)) stream.takeOver(tab);
      else tab.stop("The shared stream has changed", true);
    }
    for (const tab of replaced.waiting) stream.waiting.add(tab);
    this.close(replaced);
  }

  /** Gives up a stream that is being opened. */
  #fail(stream: SharedStream): void {
    stream.close();
    this.#closed(stream);
  }

  #closed(stream: SharedStream): void {
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
