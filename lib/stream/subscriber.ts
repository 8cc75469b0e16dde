/**
 * One subscriber: a cursor in a pipeline's order, and the body stream that it
 * fills whenever the connection asks for more. Nothing is queued for it, so a
 * subscriber that reads slowly costs no memory but its own cursor.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { MissedReason } from "../log/mod.ts";
import {
  type ChannelFilter,
  encodeComment,
  encodeEvent,
  encodeRetry,
  formatEventId,
} from "../protocol/mod.ts";
import type { EncodedEvents } from "./encoded_events.ts";
import type { EncodedPage } from "./page_reader.ts";

/** Keep-alives that a subscriber may leave unread before its stream is closed. */
const MAX_UNREAD_KEEP_ALIVES = 2;

/** Where a subscriber's events come from. */
export interface SubscriberSource {
  /** The newest events. Another object if the pipeline's log was replaced. */
  readonly newest: EncodedEvents;
  /** Reads what follows a sequence that is before the tail. */
  page(sequence: number): Promise<EncodedPage | null>;
}

/** How a subscriber begins. */
export interface SubscriberOptions {
  /** Where its events come from. */
  source: SubscriberSource;
  /**
   * The sequence after which it resumes; `"fresh"` for a subscriber without a
   * position, `"unknown"` for one whose position is none of this log.
   */
  resume: number | "fresh" | "unknown";
  /** How many events of the history it gets where it does not resume. */
  history: number;
  /** Which channels it gets. */
  filter: ChannelFilter;
  /** The reconnection time that it is told, in milliseconds. */
  retryMs: number;
  /** When its stream ends by itself, in milliseconds since the Unix epoch. */
  endsAt: number;
  /** Hears that it is gone, for whatever reason. */
  onClose: (subscriber: Subscriber) => void;
  /** Reporter of reads of the log that failed. */
  runtime: Pick<Runtime, "report">;
}

/** One subscriber. */
export class Subscriber {
  /** What is sent to it. Cancelling it ends the subscription. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: SubscriberOptions;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #epoch!: string;
  /** The sequence of the last event that was sent or passed over. */
  #cursor!: number;
  /** The sequence that the client has as its last event ID. */
  #sent!: number;
  /** Where replay ends and live begins: the newest event when it subscribed. */
  #seam!: number;
  #live!: boolean;
  #replayed!: number;
  /** Whether nothing of the history was sent yet, so nothing of it can be missed. */
  #atStart!: boolean;
  /** What goes out before all else. */
  #preface: Uint8Array | null;
  #page: EncodedPage | null = null;
  #reading = false;
  /** Whether the connection waits for data. */
  #wanted = false;
  #unread = 0;
  /** The sequence after which the stream ends, once it is to end. */
  #endAfter: number | null = null;
  #gone = false;

  /**
   * Makes a subscriber whose stream begins when it is read.
   *
   * @param options How it begins.
   */
  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { resume, retryMs } = options;
    this.#preface = encodeRetry(retryMs);
    if (typeof resume === "number") this.#begin(resume, false);
    else this.#beginWithHistory();
    if (resume === "unknown") this.#prefix(this.#gap(null, "unknown"));
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#wanted = true;
        this.#unread = 0;
        this.#fill();
      },
      cancel: () => this.#leave(),
    }, { highWaterMark: 0 });
  }

  /** Sends what there is now: the tail has grown or was replaced. */
  wake(): void {
    this.#fill();
  }

  /**
   * Sends a keep-alive, if the connection takes one; closes a stream that does
   * not read, and ends one that is old enough.
   *
   * @param now The time in milliseconds since the Unix epoch.
   */
  keepAlive(now: number): void {
    if (now >= this.#options.endsAt) this.end();
    if (this.#wanted && !this.#gone) {
      this.#enqueue(encodeComment("keepalive", this.#takeMove()));
    } else if (++this.#unread === MAX_UNREAD_KEEP_ALIVES) {
      this.#close();
    }
  }

  /** Ends the stream once it has sent what the tail has now. */
  end(): void {
    this.#endAfter ??= this.#options.source.newest.last;
    this.#fill();
  }

  #begin(cursor: number, atStart: boolean): void {
    const { newest } = this.#options.source;
    this.#epoch = newest.epoch;
    this.#cursor = cursor;
    this.#sent = cursor;
    this.#seam = newest.last;
    this.#live = false;
    this.#replayed = 0;
    this.#atStart = atStart;
    this.#page = null;
  }

  #beginWithHistory(): void {
    const { source, history } = this.#options;
    this.#begin(Math.max(0, source.newest.last - history), true);
  }

  #fill(): void {
    if (!this.#wanted || this.#gone) return;
    const bytes = this.#next();
    if (bytes) return this.#enqueue(bytes);
    if (this.#endAfter === null) return;
    const position = this.#takeMove();
    if (position !== undefined) this.#enqueue(encodeEvent({ id: position }));
    this.#close();
  }

  #enqueue(bytes: Uint8Array): void {
    // Before the call, which may ask for more before it returns.
    this.#wanted = false;
    this.#controller.enqueue(bytes);
  }

  /** What is to be sent next, or `null` if that is nothing now. */
  #next(): Uint8Array | null {
    if (this.#preface) {
      const preface = this.#preface;
      this.#preface = null;
      return preface;
    }
    const { newest } = this.#options.source;
    if (newest.epoch !== this.#epoch || newest.last < this.#cursor) {
      this.#beginWithHistory();
      return this.#gap(null, "unknown");
    }
    const until = Math.min(this.#live ? newest.last : this.#seam, this.#endAfter ?? Infinity);
    while (this.#cursor < until) {
      const run = this.#runAtCursor(newest);
      if (!run) return null;
      const { bytes, count, lastSequence, cursor } = run.chunkAfter(
        this.#cursor,
        until,
        this.#options.filter,
      );
      this.#cursor = cursor;
      this.#atStart = false;
      // Not kept for as long as the next read may take.
      if (this.#page && cursor >= this.#page.events.last) this.#page = null;
      if (count === 0) continue;
      this.#sent = lastSequence;
      if (!this.#live) this.#replayed += count;
      return bytes;
    }
    if (this.#live || this.#cursor < this.#seam) return null;
    this.#page = null;
    this.#live = true;
    this.#atStart = false;
    return this.#notice("runnel.live", { replayed: this.#replayed });
  }

  /** The events in memory that the cursor is among; without any, a page is read. */
  #runAtCursor(newest: EncodedEvents): EncodedEvents | null {
    if (this.#cursor + 1 >= newest.first) {
      this.#page = null;
      return newest;
    }
    const run = this.#page?.events;
    if (run && this.#cursor + 1 >= run.first && this.#cursor < run.last) return run;
    // A stream that is to end does so with what is in memory.
    if (this.#endAfter === null && !this.#reading) this.#readPage();
    return null;
  }

  async #readPage(): Promise<void> {
    this.#reading = true;
    try {
      const page = await this.#options.source.page(this.#cursor);
      this.#page = page;
      if (page && page.epoch === this.#epoch && page.missed > 0) {
        this.#cursor = page.after;
        // Who was never told of an event does not miss it.
        if (!this.#atStart) this.#prefix(this.#gap(page.missed, page.reason));
      }
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

  #prefix(bytes: Uint8Array): void {
    this.#preface = this.#preface ? new Uint8Array([...this.#preface, ...bytes]) : bytes;
  }

  #gap(missed: number | null, reason: MissedReason | "unknown"): Uint8Array {
    return this.#notice("runnel.gap", { missed, reason });
  }

  /** An event of our own: it stands for the position that the stream has reached. */
  #notice(type: string, data: unknown): Uint8Array {
    this.#sent = this.#cursor;
    return encodeEvent({ id: this.#position(), type, data: JSON.stringify(data) });
  }

  /** The position that the client has to be told of, if the cursor moved without an ID. */
  #takeMove(): string | undefined {
    if (this.#sent === this.#cursor) return undefined;
    this.#sent = this.#cursor;
    return this.#position();
  }

  #position(): string {
    return formatEventId({ epoch: this.#epoch, sequence: this.#cursor });
  }

  #close(): void {
    if (this.#gone) return;
    this.#controller.close();
    this.#leave();
  }

  /** A stream that was closed is cancelled too, if its last chunk was not read. */
  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#page = null;
    this.#options.onClose(this);
  }
}
