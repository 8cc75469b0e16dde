/**
 * A tab, as the worker knows it.
 *
 * @module
 */

import {
  type JoinMessage,
  lengthOf,
  type SharedEvent,
  WINDOW_COUNT,
  WINDOW_LENGTH,
  type WorkerMessage,
} from "./shared_messages.ts";

/** One of the two ends of a `MessagePort`. */
export interface TabPort {
  /** Sends a message to the tab. */
  postMessage(message: WorkerMessage): void;
}

/** A stream that feeds tabs. */
export interface Feeder {
  /** Tabs that it feeds. */
  readonly tabs: Set<Tab>;
}

/**
 * A subscription of a tab. Its feed is bounded: a tab that does not acknowledge what it was sent,
 * because it is frozen for example, leaves the shared stream. Nothing is kept for it: when it is
 * back, it continues by itself after what it has.
 */
export class Tab {
  /** The newest message by which it joined; `null` before, and after it has left. */
  join: JoinMessage | null = null;
  /** Time of that message, in milliseconds since the Unix epoch. */
  joinedAt = 0;
  /** Whether it has a stream of its own, and could be fed instead. */
  isApart = false;
  /** Pipelines that it reads, whose run has not ended. */
  pipelines: readonly string[] = [];
  /** Streams are shared by tabs with the same key. */
  key = "";
  /** Stream that it is fed by; `null` if there is none. */
  stream: Feeder | null = null;
  /** Whether it was asked for its position, and has not answered yet. */
  wasAsked = false;
  readonly #port: TabPort;
  #feed = 0;
  #sent = { count: 0, length: 0 };
  #acknowledged = { count: 0, length: 0 };
  /** Events that are sent at the end of this task. */
  #batch: SharedEvent[] = [];

  constructor(port: TabPort) {
    this.#port = port;
  }

  /** Whether it reads a pipeline. */
  reads(pipeline: string): boolean {
    return this.pipelines.includes(pipeline);
  }

  /** Sends a message that belongs to no feed. */
  post(message: WorkerMessage): void {
    this.#port.postMessage(message);
  }

  /** Begins a feed, which continues after these positions of the stream. */
  feed(stream: Feeder, positions: ReadonlyMap<string, string>): void {
    this.stream = stream;
    this.isApart = false;
    stream.tabs.add(this);
    this.#feed = this.join!.join;
    this.#sent = { count: 0, length: 0 };
    this.#acknowledged = { count: 0, length: 0 };
    this.#batch = [];
    this.post({ type: "feed", feed: this.#feed, positions: this.#select(positions) });
  }

  /** Sends an event of the stream, if the tab reads its pipeline. */
  send(event: SharedEvent): void {
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

  /** Sends the positions that the stream has reached. */
  sendPositions(positions: ReadonlyMap<string, string>): void {
    this.#flush();
    this.#count(0);
    if (this.#isBehind) return this.#leaveBehind();
    this.post({ type: "positions", feed: this.#feed, positions: this.#select(positions) });
  }

  /** Marks the end of the events that were published before the feed began. */
  sendLive(): void {
    this.#flush();
    this.#count(0);
    this.post({ type: "live", feed: this.#feed });
  }

  /** Takes an acknowledgment. */
  acknowledge(feed: number, count: number, length: number): void {
    if (feed === this.#feed) this.#acknowledged = { count, length };
  }

  /** Ends the feed, and tells why. */
  stop(reason: string, isPlanned: boolean): void {
    if (!this.leave()) return;
    this.post({ type: "stop", feed: this.#feed, reason, isPlanned });
  }

  /** Ends the feed. @returns Whether there was one. */
  leave(): boolean {
    this.#flush();
    const { stream } = this;
    this.stream = null;
    this.isApart = false;
    return stream?.tabs.delete(this) ?? false;
  }

  get #isBehind(): boolean {
    return this.#sent.count - this.#acknowledged.count > WINDOW_COUNT ||
      this.#sent.length - this.#acknowledged.length > WINDOW_LENGTH;
  }

  #leaveBehind(): void {
    this.stop("The tab did not take its events in time", true);
  }

  #count(length: number): void {
    this.#sent.count++;
    this.#sent.length += length;
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    this.post({ type: "events", feed: this.#feed, events: this.#batch });
    this.#batch = [];
  }

  #select(positions: ReadonlyMap<string, string>): Map<string, string> {
    return new Map([...positions].filter(([pipeline]) => this.reads(pipeline)));
  }
}

/** A tab with a stream of its own, which it may leave. */
export type ApartTab = Tab & { join: JoinMessage };

/** Whether a tab has a stream of its own, which it may leave. */
export function isApart(tab: Tab): tab is ApartTab {
  return tab.isApart;
}
