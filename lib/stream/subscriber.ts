/**
 * The event stream of one subscriber: a body that is filled whenever the
 * connection asks for more. Nothing is queued, so a subscriber that reads slowly
 * costs no memory but its own cursor.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Position } from "../protocol/mod.ts";
import { concat } from "./chunk.ts";
import type { Feed } from "./feed.ts";
import { FeedTurns } from "./feed_turns.ts";
import type { Expiry, StreamMetrics } from "./subscriber_source.ts";
import type { Syntax } from "./syntax.ts";

/** Keep-alives that a connection may leave unread before its stream is closed. */
const MAX_MISSED_KEEP_ALIVES = 2;

/** Options for {@linkcode Subscriber}. */
export interface SubscriberOptions {
  /** One for each of its pipelines. */
  feeds: readonly Feed[];
  /** Syntax of its feeds, and of all that is of none of them. */
  syntax: Syntax;
  /**
   * Whether it is told its position before all else, for a client that has to come
   * back with one. @default {false}
   */
  announcesStart?: boolean | undefined;
  /**
   * Whether it ends as soon as it has sent anything new and is caught up: the answer to a
   * long poll. @default {false}
   */
  isPoll?: boolean | undefined;
  /** Reconnection time that it is told, in milliseconds. */
  retryMs: number;
  /** Time at which its stream ends, in milliseconds of the monotonic clock. */
  endsAt: number;
  /** Time at which its token or ticket expires, in the same unit. */
  expiresAt: number;
  /** Reporter of reads of the log that failed. */
  runtime: Pick<Runtime, "report">;
  /** Called once, when the stream has ended for whatever reason. */
  onClose: (subscriber: Subscriber) => void;
}

/** One subscriber. */
export class Subscriber {
  /** The event stream. Cancelling it ends the subscription. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: SubscriberOptions;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  readonly #feeds: FeedTurns;
  /** Bytes that are sent before all else. */
  #firstBytes: Uint8Array | null;
  /** Whether the connection waits for data. */
  #pullPending = false;
  #missedKeepAlives = 0;
  /** Whether it ends once it is caught up, though it has sent nothing new. */
  #isPollDue = false;
  /** Expiry that the client is told at the end, if that is why the stream ends. */
  #expiry: Expiry | null = null;
  #closed = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { feeds, syntax } = options;
    for (const feed of feeds) feed.subscriber = this;
    this.#feeds = new FeedTurns(feeds);
    this.#metrics.streams.add(this.#feeds.start);
    const retry = syntax.retry(options.retryMs);
    const id = options.announcesStart ? this.#feeds.announceStarts() : null;
    // A gap tells it as well, and no ID may come before that.
    const announces = id !== null && feeds.every(({ resume }) => resume !== "unknown");
    this.#firstBytes = announces ? concat([retry, syntax.control({ id })]) : retry;
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#pullPending = true;
        this.#missedKeepAlives = 0;
        this.#fill();
      },
      cancel: () => this.#dispose(),
    }, { highWaterMark: 0 });
  }

  /** Metrics of the first pipeline: those of canaries are counted apart. */
  get #metrics(): StreamMetrics {
    return this.#options.feeds[0]!.metrics;
  }

  /** Position after which each feed began in the log that it reads now. */
  get starts(): Position[] {
    return this.#feeds.starts;
  }

  /** Sends the events that are new now: a source has grown or was replaced. */
  wake(): void {
    this.#fill();
  }

  /**
   * Ends the stream once it has sent what the sources have now.
   *
   * @param expiry Reason that the client is told. Without one it is told nothing: it
   *   comes back with the token or ticket that it has.
   */
  end(expiry: Expiry | null = null): void {
    if (!this.#feeds.areEnding) this.#expiry = expiry;
    this.#feeds.end();
    this.#fill();
  }

  /** Ends the stream of a poll as soon as it is caught up, with or without news. */
  endPoll(): void {
    this.#isPollDue = true;
    this.#fill();
  }

  /**
   * Does what is due once in a keep-alive period: ends a stream that is old
   * enough, closes one that is stalled, and keeps any other one alive.
   *
   * @param now The time, in milliseconds of the monotonic clock.
   */
  tick(now: number): void {
    if (now >= this.#options.expiresAt) this.end("expired");
    else if (now >= this.#options.endsAt) this.end();
    if (this.#closed) return;
    if (this.#pullPending) this.#keepAlive();
    else this.#closeIfStalled();
  }

  #keepAlive(): void {
    this.#enqueue(this.#options.syntax.keepAlive(this.#feeds.takePosition()));
  }

  #closeIfStalled(): void {
    if (++this.#missedKeepAlives < MAX_MISSED_KEEP_ALIVES) return;
    this.#metrics.stalled.add();
    this.#options.runtime.report("Closed the stream of a client that does not read", undefined, {
      level: "info",
      fields: { pipeline: this.#feeds.pipelines },
    });
    this.#close();
  }

  /**
   * Sends what is next, if the connection takes it; reads it or ends the stream if it cannot.
   *
   * The lines that begin a stream and the marker that ends its replay leave with the events
   * between them, for one pull: with one for each of the three, to join took 8 µs more.
   */
  #fill(): void {
    if (!this.#pullPending || this.#closed) return;
    const first = this.#firstBytes;
    this.#firstBytes = null;
    if (first && first.length > 0) this.#enqueue(first);
    let feed: Feed | null;
    do {
      feed = this.#sendNext();
    } while (feed?.isAtMarker);
    if (this.#feeds.haveEnded) this.#close();
    else if (!feed) this.#rest();
  }

  /** Sends the bytes of the next feed that has some, and returns it. */
  #sendNext(): Feed | null {
    const next = this.#feeds.next();
    if (next) this.#enqueue(next.bytes);
    if (this.#feeds.isWaiting) this.#read();
    return next?.feed ?? null;
  }

  /** Ends the stream if that is due, when there is nothing to send. */
  #rest(): void {
    // A stream that is ending does so with what is in memory.
    if (this.#feeds.areEnding) return this.#finish();
    if (!this.#options.isPoll || this.#feeds.isReading) return;
    if (this.#isPollDue || this.#feeds.haveNews) this.#finish();
  }

  #enqueue(bytes: Uint8Array): void {
    // Before the call, which may ask for more before it returns.
    this.#pullPending = false;
    this.#metrics.sent.add(bytes.length);
    this.#controller.enqueue(bytes);
  }

  /** Reads the log for a feed that waits for it, and then goes on. */
  async #read(): Promise<void> {
    try {
      if (!await this.#feeds.read()) return;
    } catch (error) {
      this.#options.runtime.report(
        "Cannot read the log for a subscriber, which has to come back",
        error,
      );
      this.#close();
    }
    this.#fill();
  }

  /** Closes the stream, with its position if the client does not have that, and its expiry. */
  #finish(): void {
    const { syntax } = this.#options;
    const id = this.#feeds.takePosition();
    if (this.#expiry) {
      const data = { reason: this.#expiry };
      this.#enqueue(syntax.control({ id, type: "runnel.expired", data }));
    } else if (id !== undefined) this.#enqueue(syntax.control({ id }));
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#controller.close();
    this.#dispose();
  }

  /** Runs once: a stream that was closed is cancelled too, if its last chunk was not read. */
  #dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#feeds.close();
    this.#options.onClose(this);
  }
}
