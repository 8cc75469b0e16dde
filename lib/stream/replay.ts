/**
 * The bytes that one subscriber gets out of one log, in order: the events after
 * its position, control events in between. Pure: no log is read here, and no
 * stream is written to.
 *
 * @module
 */

import type { MissedReason } from "../log/mod.ts";
import { type ChannelFilter, END_CHANNEL, type Position, type RunEnd } from "../protocol/mod.ts";
import type { EncodedEvents } from "./encoded_events.ts";
import type { EncodedPage } from "./page_reader.ts";
import type { StreamForm } from "./stream_form.ts";

/** Place at which a replay begins. */
interface ReplayStart {
  /** Sequence before the first event. */
  cursor: number;
  /** Whether it is that of the history, and not of an event that the client has. */
  isAtStart: boolean;
  /** Whether the client has the end of the run already. */
  hasEnd?: boolean;
}

/** Events that a client misses. */
export interface Missed {
  /** Their number; `null` if it is unknown. */
  missed: number | null;
  reason: MissedReason | "unknown";
}

/**
 * A cursor in one log. Replay and live are two phases of the same movement: the
 * replay ends at the event that was the newest one at the beginning, with a
 * control event that tells history from news.
 *
 * Every method that returns bytes has moved the cursor past them.
 */
export class Replay {
  /** Whether it began with the history, and not after an event that the client has. */
  readonly isOfHistory: boolean;
  readonly #epoch: string;
  readonly #start: number;
  readonly #filter: ChannelFilter;
  readonly #form: StreamForm;
  /** Sequence of the newest event at the beginning. */
  readonly #replayEnd: number;
  #phase: "replaying" | "live" = "replaying";
  /** Sequence of the last event that was sent or passed over. */
  #cursor: number;
  /** Sequence that the client has as its last event ID. */
  #clientCursor: number;
  /** Number of events sent, which is told at the end of the replay. */
  #replayed = 0;
  /** Whether nothing of the history was sent yet, so that nothing of it can be missed. */
  #isAtStart: boolean;
  /** Events before the newest ones, read from the log. */
  #page: EncodedPage | null = null;

  private constructor(
    newest: EncodedEvents,
    filter: ChannelFilter,
    form: StreamForm,
    { cursor, isAtStart, hasEnd = false }: ReplayStart,
  ) {
    this.#epoch = newest.epoch;
    this.#filter = filter;
    this.#form = form;
    this.#replayEnd = newest.lastPublished;
    if (hasEnd) this.#phase = "live";
    // No ID before the end is that of the end: a client that comes back with it gets nothing more.
    this.#start = hasEnd ? cursor : Math.min(cursor, this.#replayEnd);
    this.#cursor = this.#start;
    this.#clientCursor = this.#start;
    this.isOfHistory = isAtStart;
    this.#isAtStart = isAtStart;
  }

  /** Begins with the history, which follows the event with a sequence. */
  static ofHistory(
    newest: EncodedEvents,
    filter: ChannelFilter,
    form: StreamForm,
    start: number,
  ): Replay {
    return new Replay(newest, filter, form, { cursor: start, isAtStart: true });
  }

  /** Resumes after the event with a sequence, which must not be newer than `newest`. */
  static after(
    newest: EncodedEvents,
    filter: ChannelFilter,
    form: StreamForm,
    sequence: number,
  ): Replay {
    const hasEnd = sequence === newest.end?.sequence;
    return new Replay(newest, filter, form, { cursor: sequence, isAtStart: false, hasEnd });
  }

  /** Whether it began with the history, and nothing of that was sent or passed over. */
  get isAtStart(): boolean {
    return this.#isAtStart;
  }

  /** Position after which it began. No ID that it sends is before it. */
  get start(): Position {
    return { epoch: this.#epoch, sequence: this.#start };
  }

  /** Number of events that were sent. */
  get sent(): number {
    return this.#replayed;
  }

  /** Sequence of the last event that was sent or passed over. */
  get cursor(): number {
    return this.#cursor;
  }

  /**
   * Whether events are of the log in which this is a cursor. Another one may have
   * replaced it, which a restored backup shows only by its length.
   */
  isIn(newest: EncodedEvents): boolean {
    return newest.epoch === this.#epoch && newest.last >= this.#cursor &&
      newest.last >= this.#replayEnd;
  }

  /** Whether only the control event is left of the replay, which {@linkcode Replay.next} returns. */
  get isAtMarker(): boolean {
    return this.#phase === "replaying" && this.#cursor >= this.#replayEnd;
  }

  /**
   * Returns the next bytes.
   *
   * @param newest The newest events of the same log.
   * @param limit Sequence of the last event that may be sent.
   * @param visible Sequence of the last event that may be sent live.
   * @returns `"caught-up"` if there is nothing more up to these;
   *   `"page-needed"` if the events after the cursor are only in the log, until
   *   {@linkcode Replay.addPage} has brought them.
   */
  next(
    newest: EncodedEvents,
    limit: number,
    visible: number = Infinity,
  ): Uint8Array | "caught-up" | "page-needed" {
    const isReplaying = this.#phase === "replaying";
    const end = isReplaying
      ? Math.min(this.#replayEnd, limit)
      : Math.min(newest.lastPublished, limit, visible);
    while (this.#cursor < end) {
      const events = this.#eventsAtCursor(newest);
      if (!events) return "page-needed";
      const isWhole = isReplaying && end === this.#replayEnd && this.#replayed === 0;
      const place = [this.#cursor, end, this.#filter, this.#form] as const;
      const chunk = isWhole ? events.replayAfter(...place) : events.chunkAfter(...place);
      const { bytes, count, lastSequence, cursor, hasMarker = false } = chunk;
      this.#cursor = cursor;
      this.#isAtStart = false;
      this.#shrinkPage();
      if (count === 0) continue;
      // The ID of the marker is the end.
      this.#clientCursor = hasMarker ? cursor : lastSequence;
      this.#replayed += count;
      if (hasMarker) this.#phase = "live";
      return bytes;
    }
    if (!this.isAtMarker) return "caught-up";
    this.#phase = "live";
    this.#isAtStart = false;
    this.#clientCursor = this.#cursor;
    return this.#form.control(this.position, "runnel.live", { replayed: this.#replayed });
  }

  /**
   * Drops the events of the page that are used up: a client that does not read would keep them.
   * On a stream of several pipelines, the events of a page are often more than a chunk.
   */
  #shrinkPage(): void {
    if (!this.#page) return;
    const { events } = this.#page;
    if (this.#cursor >= events.last) this.#page = null;
    else this.#page = { ...this.#page, events: events.restAfter(this.#cursor) };
  }

  /** Returns the events in memory that the cursor is among, if any. */
  #eventsAtCursor(newest: EncodedEvents): EncodedEvents | null {
    if (this.#cursor + 1 >= newest.first) {
      this.#page = null;
      return newest;
    }
    // The page begins right after the cursor and is dropped at its end.
    return this.#page?.events ?? null;
  }

  /**
   * Takes what was read after the cursor, and returns what the client misses before it,
   * of which it is to be told first. A page of another log is ignored.
   */
  addPage(page: EncodedPage | null, end: RunEnd | null = null): Missed | null {
    if (page?.epoch !== this.#epoch) return null;
    this.#page = page;
    // Later than the cursor if events are missing, or passed over by the filter. The end of a
    // run is not missed: it is sent though it was cleared.
    this.#cursor = end ? Math.min(page.after, end.sequence - 1) : page.after;
    const missed = page.missed - (page.after - this.#cursor);
    if (missed <= 0) return null;
    // A client does not miss an event that it was never told of, but the history that
    // it asked for is shorter than it may think.
    if (this.#isAtStart && page.reason !== "damaged") return null;
    return { missed, reason: page.reason };
  }

  /** Whether it has a page. */
  get hasPage(): boolean {
    return this.#page !== null;
  }

  /** Memory of the events of its page, in bytes. */
  get pageBytes(): number {
    return this.#page?.events.bytes ?? 0;
  }

  /** Frees the page, of a stream that is closed though its connection may stay. */
  dropPage(): void {
    this.#page = null;
  }

  /** Returns the control event that tells the client about missed events. */
  gap({ missed, reason }: Missed): Uint8Array {
    this.#clientCursor = this.#cursor;
    return this.#form.control(this.position, "runnel.gap", { missed, reason });
  }

  /** Returns the control event that tells the client of the end of the run. */
  end({ events, sequence }: RunEnd): Uint8Array {
    this.#clientCursor = this.#cursor = sequence;
    return this.#form.control(this.position, END_CHANNEL, { events });
  }

  /**
   * Returns the position that the client has to be told, if the cursor moved
   * without an ID that it got.
   */
  takePosition(): string | undefined {
    if (this.#clientCursor === this.#cursor) return undefined;
    this.#clientCursor = this.#cursor;
    return this.#form.id(this.position);
  }

  /** Position of the last event that was sent or passed over. */
  get position(): Position {
    return { epoch: this.#epoch, sequence: this.#cursor };
  }
}
