/**
 * The event stream of one subscriber: a body that is filled whenever the
 * connection asks for more. Nothing is queued, so a subscriber that reads slowly
 * costs no memory but its own cursor.
 *
 * @module
 */

import {
  encodeComment,
  encodeEvent,
  encodeRetry,
  formatEventId,
  type Position,
} from "../protocol/mod.ts";
import { Replay } from "./replay.ts";
import type { Expiry, StreamOptions } from "./stream_options.ts";

/** Keep-alives that a connection may leave unread before its stream is closed. */
const MAX_MISSED_KEEP_ALIVES = 2;

/** Keep-alive of all subscribers that have their position already. Nobody changes or transfers it. */
const KEEP_ALIVE = encodeComment("keepalive");

/** Options for {@linkcode Subscriber}. */
export interface SubscriberOptions extends StreamOptions {
  /** Called once, when the stream has ended for whatever reason. */
  onClose: (subscriber: Subscriber) => void;
}

/** One subscriber. */
export class Subscriber {
  /** The event stream. Cancelling it ends the subscription. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: SubscriberOptions;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #replay: Replay;
  /** Bytes that are sent before all else. */
  #pendingBytes: Uint8Array | null;
  /** Whether a page of the log is being read. */
  #reading = false;
  /** Whether the connection waits for data. */
  #pullPending = false;
  #missedKeepAlives = 0;
  /** Sequence after which the stream ends, once it is ending: during replay or live. */
  #endAfter: number | null = null;
  /** Expiry that the client is told at the end, if that is why the stream ends. */
  #expiry: Expiry | null = null;
  #closed = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { source, resume, history, filter, traces, retryMs, metrics } = options;
    const { newest } = source;
    if (typeof resume === "number") this.#replay = Replay.after(newest, filter, resume, traces);
    else {
      const start = source.historyStart(filter, history);
      if (start === null) throw new Error("Cannot begin a stream: its history was not searched");
      this.#replay = Replay.ofHistory(newest, filter, start, traces);
    }
    this.#pendingBytes = encodeRetry(retryMs);
    metrics.streams.add(typeof resume === "number" ? "resumed" : resume);
    if (resume === "unknown") this.#sendFirst(this.#unknownGap());
    else if (options.announcesStart) {
      this.#sendFirst(encodeEvent({ id: formatEventId(this.#replay.start) }));
    }
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

  /** Position after which the stream began in the log that it reads now. */
  get start(): Position {
    return this.#replay.start;
  }

  /** Sends the events that are new now: the source has grown or was replaced. */
  wake(): void {
    this.#fill();
  }

  /**
   * Ends the stream once it has sent what the source has now.
   *
   * @param expiry Reason that the client is told. Without one it is told nothing: it
   *   comes back with the token or ticket that it has.
   */
  end(expiry: Expiry | null = null): void {
    if (this.#endAfter === null) {
      this.#endAfter = this.#options.source.newest.last;
      this.#expiry = expiry;
    }
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
    const position = this.#replay.takePosition();
    this.#enqueue(position === undefined ? KEEP_ALIVE : encodeComment("keepalive", position));
  }

  #closeIfStalled(): void {
    if (++this.#missedKeepAlives < MAX_MISSED_KEEP_ALIVES) return;
    this.#options.metrics.stalled.add();
    this.#options.runtime.report("Closed the stream of a client that does not read", undefined, {
      level: "info",
      fields: { pipeline: this.#options.source.id },
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
    let goesOn: boolean;
    do {
      goesOn = this.#pendingBytes !== null;
      const next = this.#next();
      if (typeof next === "string") return this.#waitFor(next);
      this.#enqueue(next);
      goesOn ||= this.#replay.isAtMarker;
    } while (goesOn && !this.#closed);
  }

  #waitFor(next: "caught-up" | "page-needed" | "start-needed"): void {
    const { end, lastPublished } = this.#options.source.newest;
    if (next === "caught-up" && end && this.#replay.cursor >= lastPublished) {
      this.#enqueue(this.#replay.end(end));
      return this.#close();
    }
    // A stream that is ending does so with what is in memory.
    if (this.#endAfter !== null) return this.#finish();
    if (this.#reading) return;
    if (next === "page-needed") this.#read(() => this.#readPage());
    else if (next === "start-needed") this.#read(() => this.#findHistory());
  }

  #next(): ReturnType<Replay["next"]> | "start-needed" {
    const pending = this.#pendingBytes;
    if (pending) {
      this.#pendingBytes = null;
      return pending;
    }
    const { source, filter, history, traces } = this.#options;
    const { newest } = source;
    if (!this.#replay.isIn(newest)) {
      const start = source.historyStart(filter, history);
      if (start === null) return "start-needed";
      this.#replay = Replay.ofHistory(newest, filter, start, traces);
      return this.#unknownGap();
    }
    const { sent } = this.#replay;
    // A stream that is ending has nothing held back.
    const next = this.#endAfter === null
      ? this.#replay.next(newest, Infinity, source.visible)
      : this.#replay.next(newest, this.#endAfter);
    this.#options.metrics.deliveries.add(this.#replay.sent - sent);
    return next;
  }

  #unknownGap(): Uint8Array {
    this.#options.metrics.gaps.add("unknown");
    this.#reportGap("unknown");
    return this.#replay.gap(null, "unknown");
  }

  #reportGap(reason: string | undefined, missed?: number): void {
    this.#options.runtime.report("A subscriber is told of a gap", undefined, {
      level: "debug",
      fields: { reason, missed },
    });
  }

  #enqueue(bytes: Uint8Array): void {
    // Before the call, which may ask for more before it returns.
    this.#pullPending = false;
    this.#options.metrics.sent.add(bytes.length);
    this.#controller.enqueue(bytes);
  }

  /** Reads the log, and then goes on. */
  async #read(read: () => Promise<void>): Promise<void> {
    this.#reading = true;
    try {
      await read();
    } catch (error) {
      this.#options.runtime.report(
        "Cannot read the log for a subscriber, which has to come back",
        error,
      );
      this.#close();
    } finally {
      this.#reading = false;
    }
    this.#fill();
  }

  async #readPage(): Promise<void> {
    const replay = this.#replay;
    const { source, filter, metrics } = this.#options;
    // A client that resumes is told of each event that is missing, of any channel.
    const skips = replay.isOfHistory ? filter : null;
    const page = await source.page(replay.cursor, skips, () => !this.#closed);
    // The log may have been replaced meanwhile, or the stream been closed.
    if (replay !== this.#replay || this.#closed) return;
    metrics.pages.add();
    const gap = replay.addPage(page, source.newest.end);
    if (!gap) return;
    metrics.gaps.add(page!.reason);
    this.#reportGap(page!.reason, page!.missed);
    this.#sendFirst(gap);
  }

  async #findHistory(): Promise<void> {
    const { source, filter, history } = this.#options;
    await source.findHistory(filter, history);
  }

  #sendFirst(bytes: Uint8Array): void {
    const pending = this.#pendingBytes;
    this.#pendingBytes = pending ? new Uint8Array([...pending, ...bytes]) : bytes;
  }

  /** Closes the stream, with its position if the client does not have that, and its expiry. */
  #finish(): void {
    const id = this.#replay.takePosition();
    const position = id === undefined ? {} : { id };
    if (this.#expiry) {
      const data = JSON.stringify({ reason: this.#expiry });
      this.#enqueue(encodeEvent({ ...position, type: "runnel.expired", data }));
    } else if (id !== undefined) this.#enqueue(encodeEvent(position));
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
    this.#replay.dropPage();
    this.#options.onClose(this);
  }
}
