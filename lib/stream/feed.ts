/**
 * The part of a stream that is of one pipeline: a cursor in its log, and what the client
 * has to be told when that log was replaced or has lost events.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { ChannelFilter, HistoryRange, Position, RunEnd } from "../protocol/mod.ts";
import { type Missed, Replay } from "./replay.ts";
import type { StreamForm } from "./stream_form.ts";
import type { StreamMetrics, SubscriberSource } from "./subscriber_source.ts";

/** Options for {@linkcode Feed}. */
export interface FeedOptions {
  /** Source of its events. */
  source: SubscriberSource;
  /**
   * Sequence after which it resumes; `"fresh"` for a subscriber without a
   * position, `"unknown"` for one whose position is not in this log.
   */
  resume: number | "fresh" | "unknown";
  /** Range of the history that it gets if it does not resume. */
  history: HistoryRange;
  /** Filter of the channels that it gets. */
  filter: ChannelFilter;
  /** Form of its bytes. */
  form: StreamForm;
  /** Reporter of gaps. */
  runtime: Pick<Runtime, "report">;
  /** Counts what is sent, and how streams begin and end. */
  metrics: StreamMetrics;
  /** Called once, when its stream has ended for whatever reason. */
  onClose: (feed: Feed) => void;
}

/** Reason for which a feed has no bytes now. */
export type FeedState = "caught-up" | "page-needed" | "start-needed";

const UNKNOWN: Missed = { missed: null, reason: "unknown" };

/** The newest events of a source, as far as what a feed sends next depends on them. */
interface SeenEvents {
  epoch: string;
  last: number;
  end: RunEnd | null;
  visible: number;
}

/** One pipeline's events for one stream. */
export class Feed {
  /** The stream, once it has begun. */
  subscriber: { wake(): void; end(): void } | null = null;
  readonly #options: FeedOptions;
  #replay: Replay;
  /** Missed events that the client is told of before all else. */
  #missed: Missed | null = null;
  /** Whether the client has or had a position in a log of the pipeline. */
  #hasPosition = false;
  #hasEnded = false;
  #hasNews = false;
  /** The newest events with which it was caught up, if it was the last time. */
  #caughtUpWith: SeenEvents | null = null;
  #closed = false;

  /** Creates a feed, whose source knows where its history starts if it begins with that. */
  constructor(options: FeedOptions) {
    this.#options = options;
    const { source, resume, filter, form } = options;
    const { newest } = source;
    if (typeof resume === "number") {
      this.#replay = Replay.after(newest, filter, form, resume);
      this.#hasEnded = resume === newest.end?.sequence;
    } else {
      const replay = this.#replayHistory();
      if (!replay) throw new Error("Cannot begin a stream: its history was not searched");
      this.#replay = replay;
    }
    if (resume === "unknown") {
      this.#missed = UNKNOWN;
      this.#hasPosition = true;
      form.hasGap(this.#replay.start);
    } else this.#reach();
  }

  /** ID of the pipeline. */
  get pipeline(): string {
    return this.#options.source.id;
  }

  /** Counts what is sent. */
  get metrics(): StreamMetrics {
    return this.#options.metrics;
  }

  /** Start of the stream: as in {@linkcode FeedOptions}. */
  get resume(): FeedOptions["resume"] {
    return this.#options.resume;
  }

  /** Position after which the feed began in the log that it reads now. */
  get start(): Position {
    return this.#replay.start;
  }

  /**
   * Has the IDs of the stream contain the start though nothing was sent yet, and returns that
   * of the start: for a client that has to come back with a position.
   */
  announceStart(): string {
    const { form, resume } = this.#options;
    this.#hasPosition = true;
    if (resume !== "unknown") form.reached({ position: this.#replay.start });
    return form.id(this.#replay.start);
  }

  /** Sequence of the newest event that the source has. */
  get newest(): number {
    return this.#options.source.newest.last;
  }

  /** Whether the run has ended and the client was told. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether it has sent an event, a gap or the end. */
  get hasNews(): boolean {
    return this.#hasNews;
  }

  /** Whether only the marker is left of its replay. */
  get isAtMarker(): boolean {
    return this.#replay.isAtMarker;
  }

  /** Whether it has a page of the log in memory. */
  get hasPage(): boolean {
    return this.#replay.hasPage;
  }

  /** Sends what is new, if its stream has begun: the source has grown or was replaced. */
  wake(): void {
    this.subscriber?.wake();
  }

  /** Ends its stream, if that has begun, once it has sent what the sources have now. */
  end(): void {
    this.subscriber?.end();
  }

  /**
   * Returns the next bytes, or why there are none.
   *
   * @param endAfter Sequence of the last event, of a stream that is ending.
   */
  next(endAfter: number | null): Uint8Array | FeedState {
    const { source, metrics } = this.#options;
    const { newest } = source;
    // A stream asks all of its feeds after each chunk, and most have nothing new.
    if (endAfter === null && this.#isCaughtUp()) return "caught-up";
    this.#caughtUpWith = null;
    if (!this.#replay.isIn(newest)) {
      // Otherwise it would keep the other pipelines of the stream from reading theirs.
      this.#replay.dropPage();
      const replay = this.#replayHistory();
      if (!replay) return "start-needed";
      this.#replay = replay;
      if (this.#hasPosition) this.#missed = UNKNOWN;
      this.#hasEnded = false;
    }
    if (this.#missed) return this.#tellMissed(this.#missed);
    const { sent } = this.#replay;
    // A stream that is ending has nothing held back.
    const next = endAfter === null
      ? this.#replay.next(newest, Infinity, source.visible)
      : this.#replay.next(newest, endAfter);
    const count = this.#replay.sent - sent;
    metrics.deliveries.add(count);
    this.#hasNews ||= count > 0;
    this.#reach();
    if (next !== "caught-up") return next;
    // What is left of it was published meanwhile, and is in memory when it may be sent.
    this.#replay.dropPage();
    const bytes = this.#tellEnd();
    if (!bytes) this.#caughtUpWith = seenOf(source);
    return bytes ?? next;
  }

  #isCaughtUp(): boolean {
    const { source: { newest, visible } } = this.#options;
    const seen = this.#caughtUpWith;
    return seen?.last === newest.last && seen.visible === visible && seen.end === newest.end &&
      seen.epoch === newest.epoch;
  }

  /**
   * Has the IDs of the stream contain the position, once anything was sent. With the start of
   * its history, a client that comes back would be told of a gap if that is not retained.
   */
  #reach(): void {
    if (this.#replay.isAtStart && !this.#hasPosition) return;
    this.#hasPosition = true;
    this.#options.form.reached(this.#replay);
  }

  #replayHistory(): Replay | null {
    const { source, filter, form, history } = this.#options;
    const start = source.historyStart(filter, history);
    return start === null ? null : Replay.ofHistory(source.newest, filter, form, start);
  }

  #tellMissed(missed: Missed): Uint8Array {
    this.#missed = null;
    this.#hasNews = true;
    this.#options.metrics.gaps.add(missed.reason);
    this.#options.runtime.report("A subscriber is told of a gap", undefined, {
      level: "debug",
      fields: { reason: missed.reason, ...missed.missed === null ? {} : { missed: missed.missed } },
    });
    const bytes = this.#replay.gap(missed);
    this.#options.form.reached(this.#replay);
    return bytes;
  }

  #tellEnd(): Uint8Array | null {
    const { end, lastPublished } = this.#options.source.newest;
    if (!end || this.#hasEnded || this.#replay.cursor < lastPublished) return null;
    this.#hasEnded = true;
    this.#hasNews = true;
    const bytes = this.#replay.end(end);
    this.#options.form.reached(this.#replay);
    return bytes;
  }

  /** Reads what {@linkcode Feed.next} lacks from the log. */
  async read(state: "page-needed" | "start-needed"): Promise<void> {
    const { source, filter, history, metrics } = this.#options;
    if (state === "start-needed") {
      await source.findHistory(filter, history);
      return;
    }
    const replay = this.#replay;
    // A client that resumes is told of each event that is missing, of any channel.
    const skips = replay.isOfHistory ? filter : null;
    const page = await source.page(replay.cursor, skips, () => !this.#closed);
    // The log may have been replaced meanwhile, or the stream been closed.
    if (replay !== this.#replay || this.#closed) return;
    metrics.pages.add();
    this.#caughtUpWith = null;
    this.#missed = replay.addPage(page, source.newest.end);
  }

  /** Returns the position of the stream if that moved without an ID that the client got. */
  takePosition(): string | undefined {
    // A gap comes first: who comes back with a position after it is not told of it.
    if (this.#missed) return undefined;
    const id = this.#replay.takePosition();
    if (id === undefined) return undefined;
    this.#hasPosition = true;
    this.#reach();
    return id;
  }

  /** Frees what it has. It is called again by a stream that was closed and is cancelled. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#replay.dropPage();
    this.#options.onClose(this);
  }
}

function seenOf({ newest: { epoch, last, end }, visible }: SubscriberSource): SeenEvents {
  return { epoch, last, end, visible };
}
