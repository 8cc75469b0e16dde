/**
 * A subscriber that stays with a pipeline as an `EventSource` does.
 *
 * @module
 */

import { parseEventId } from "../../../lib/protocol/event.ts";
import { eventually } from "../wait.ts";
import { openStream, type StreamReader } from "./stream_reader.ts";
import { type PublishedEvent, SubscriberRecord } from "./subscriber_record.ts";

/** The default history of a program. */
const HISTORY = 100;

/** Follows a pipeline from its beginning, or from when it came, over all its connections. */
export class Follower implements AsyncDisposable {
  /** How often it connected. */
  connections = 0;
  readonly #record = new SubscriberRecord([], HISTORY);
  readonly #newest: () => number;
  readonly #ended: Promise<void>;
  #reader: StreamReader | null = null;
  #isLive = false;
  #retryMs = 0;
  #stopped = false;
  /** Pending while it reads nothing. */
  #reading = Promise.withResolvers<void>();

  /**
   * @param program Where it connects.
   * @param newest The sequence of the newest event that was accepted, as far as is known.
   */
  constructor(program: { url: string }, newest: () => number) {
    this.#newest = newest;
    this.#reading.resolve();
    this.#ended = this.#run(program);
    // What went wrong is told when it is stopped.
    this.#ended.catch(() => {});
  }

  /** The sequence of the last event ID that it was told. */
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
        // The connection broke, or there was none.
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
    for (let said; (said = await reader.next());) {
      if (said.kind === "retry") this.#retryMs = said.ms;
      else if (said.kind === "event") this.#record.take(said);
      if (said.kind === "event" && said.type === "runnel.live") this.#isLive = true;
      await this.#reading.promise;
      if (this.#stopped) break;
    }
    await reader.cancel();
  }

  /** Resolves once it has been live. */
  async live(): Promise<void> {
    await eventually("a subscriber is live", () => this.#isLive);
  }

  /** Reads nothing any more. */
  stall(): void {
    this.#reading = Promise.withResolvers();
  }

  /** Reads on. */
  goOn(): void {
    this.#reading.resolve();
  }

  /** Waits until it was told of the whole log, leaves, and checks all that it was told. */
  async verify(log: readonly PublishedEvent[]): Promise<{ delivered: number; missed: number }> {
    await eventually("a subscriber is told of everything", () => this.sequence >= log.length);
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
