/**
 * A subscriber that reconnects to a pipeline as an `EventSource` does.
 *
 * @module
 */

import { parseEventId } from "../../../lib/protocol/event.ts";
import { eventually } from "../wait.ts";
import { openStream, type StreamReader } from "./stream_reader.ts";
import { type PublishedEvent, SubscriberRecord } from "./subscriber_record.ts";

/** Default history of a program. */
const HISTORY = 100;

/** Follows a pipeline over all its connections, from its beginning or from the first connection. */
export class Follower implements AsyncDisposable {
  /** Number of connections that it opened. */
  connections = 0;
  readonly #record = new SubscriberRecord([], HISTORY);
  readonly #newest: () => number;
  readonly #ended: Promise<void>;
  #reader: StreamReader | null = null;
  #isLive = false;
  #retryMs = 0;
  #stopped = false;
  /** Pending while reading is paused. */
  #reading = Promise.withResolvers<void>();

  /**
   * @param program The program to connect to.
   * @param newest Returns the sequence of the newest event known to be accepted.
   */
  constructor(program: { url: string }, newest: () => number) {
    this.#newest = newest;
    this.#reading.resolve();
    this.#ended = this.#run(program);
    // The check at the end awaits it again, and throws the error.
    this.#ended.catch(() => {});
  }

  /** Sequence of the last event ID that it received. */
  get sequence(): number {
    return parseEventId(this.#record.lastEventId)?.sequence ?? -1;
  }

  async #run({ url }: { url: string }): Promise<void> {
    while (true) {
      this.#record.open(this.#newest());
      this.connections++;
      try {
        await this.#connect(url);
      } catch (error) {
        // The connection broke, or could not be opened.
        if (!(error instanceof TypeError)) throw error;
      }
      if (this.#stopped) return;
      await new Promise((resolve) => setTimeout(resolve, this.#retryMs));
      if (this.#stopped) return;
    }
  }

  async #connect(url: string): Promise<void> {
    const reader = await openStream({ url }, "p_a", this.#record.lastEventId);
    this.#reader = reader;
    for (let item; (item = await reader.next());) {
      if (item.kind === "retry") this.#retryMs = item.ms;
      else if (item.kind === "event") this.#record.take(item);
      if (item.kind === "event" && item.type === "runnel.live") this.#isLive = true;
      await this.#reading.promise;
      if (this.#stopped) break;
    }
    await reader.cancel();
  }

  /** Resolves once a connection has been live. */
  async live(): Promise<void> {
    await eventually("a subscriber is live", () => this.#isLive);
  }

  /** Pauses reading. */
  stall(): void {
    this.#reading = Promise.withResolvers();
  }

  /** Resumes reading. */
  goOn(): void {
    this.#reading.resolve();
  }

  /** Waits until it has received the whole log, disconnects, and checks all received events. */
  async verify(log: readonly PublishedEvent[]): Promise<{ delivered: number; missed: number }> {
    await eventually("a subscriber has received everything", () => this.sequence >= log.length);
    await this[Symbol.asyncDispose]();
    await this.#ended;
    return this.#record.verify(log, false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.goOn();
    await this.#reader?.cancel();
    await this.#ended.catch(() => {});
  }
}
