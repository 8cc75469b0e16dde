/**
 * Contiguous events of one pipeline in memory, each encoded once for all
 * subscribers: a pipeline's tail, or a page of its log.
 *
 * @module
 */

import { type AcceptedEvent, type ChannelFilter, readEnd, type RunEnd } from "../protocol/mod.ts";
import { type Chunk, concat, joinEvents, MAX_CHUNK_BYTES } from "./chunk.ts";
import { encode, type EncodedEvent, encodeUnsent, UnsentEvent } from "./encoded_event.ts";
import { type ChunkPlace, SharedChunks } from "./shared_chunks.ts";
import { EVENT_FORM, type StreamForm } from "./stream_form.ts";

/**
 * Maximum memory of the chunks that are kept for subscribers at the same cursor, in
 * bytes, and never more than that of the events themselves: so the limit of all tails
 * limits their chunks, too, whatever filters clients ask for.
 */
const MAX_SHARED_BYTES = 2 * MAX_CHUNK_BYTES;

/** Limits of {@linkcode EncodedEvents.trim}. */
export interface TrimLimits {
  /** Minimum number of events that stay … */
  events: number;
  /** … and minimum memory of them, in bytes. */
  bytes: number;
}

/**
 * Contiguous events of one log, encoded.
 *
 * Each isolate encodes for itself, which takes 5 µs of an event. To take the bytes out of
 * memory that isolates share would save 4 of them, once for all subscribers of the
 * isolate; the write to one of them takes more.
 */
export class EncodedEvents {
  /** Epoch of the log that the events are from. */
  readonly epoch: string;
  #events: EncodedEvent[] = [];
  #last: number;
  #bytes = 0;
  /** The end of the run, after its last event; `null` while it goes on. */
  end: RunEnd | null = null;
  /** Chunks made since the last change. */
  readonly #shared = new SharedChunks();
  /** The rest that was asked for last. */
  #rest: EncodedEvents | null = null;

  /**
   * @param epoch Epoch of the log that the events are from.
   * @param after Sequence after which they begin.
   */
  constructor(epoch: string, after: number) {
    this.epoch = epoch;
    this.#last = after;
  }

  /** Sequence of the newest event, or of the one before the first while the buffer is empty. */
  get last(): number {
    return this.#last;
  }

  /** Sequence of the oldest event; one more than `last` while the buffer is empty. */
  get first(): number {
    return this.#last + 1 - this.#events.length;
  }

  /** Sequence of the newest event that publishers sent: the end of a run comes after it. */
  get lastPublished(): number {
    return this.end === null ? this.#last : Math.min(this.#last, this.end.sequence - 1);
  }

  /** Memory of the events, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Appends and encodes events.
   *
   * @param events Contiguous events, the first right after {@linkcode EncodedEvents.last}.
   * @throws {RangeError} If they do not follow.
   */
  append(events: readonly AcceptedEvent[]): void {
    for (const event of events) this.#add(encode(event, this.epoch), event);
  }

  /** Appends events that are encoded when they are first sent, as {@linkcode EncodedEvents.append}. */
  appendUnsent(events: readonly AcceptedEvent[]): void {
    for (const event of events) this.#add(new UnsentEvent(event, this.epoch), event);
  }

  #add(event: EncodedEvent, accepted: AcceptedEvent): void {
    const { sequence, memory } = event;
    if (sequence !== this.#last + 1) {
      throw new RangeError(`Cannot append event: expected ${this.#last + 1}, got ${sequence}`);
    }
    this.#events.push(event);
    this.#bytes += memory;
    this.#last = sequence;
    this.end ??= readEnd(accepted);
  }

  /**
   * Appends events of the same log that are in others.
   *
   * @throws {RangeError} If the first does not follow {@linkcode EncodedEvents.last}.
   */
  appendAll(others: EncodedEvents): void {
    if (others.first !== this.#last + 1) {
      throw new RangeError(`Cannot append event: expected ${this.#last + 1}, got ${others.first}`);
    }
    for (const other of others.#events) {
      const event = encodeUnsent(other);
      this.#events.push(event);
      this.#bytes += event.memory;
    }
    this.#last = others.#last;
    this.end ??= others.end;
  }

  /**
   * Returns the events after a cursor, for who needs no others: the same ones to all that ask
   * for the same cursor one after the other.
   */
  restAfter(cursor: number): EncodedEvents {
    if (this.#rest?.first === cursor + 1 && this.#rest.last === this.#last) return this.#rest;
    const rest = new EncodedEvents(this.epoch, cursor);
    for (const event of this.#events.slice(cursor + 1 - this.first)) {
      rest.#events.push(event);
      rest.#bytes += event.memory;
    }
    rest.#last = this.#last;
    rest.end = this.end;
    return this.#rest = rest;
  }

  /** Drops the oldest events that are not needed for either limit. */
  trim(limits: TrimLimits): void {
    let bytes = this.#bytes;
    let spare = 0;
    while (this.#events.length - spare > limits.events) {
      bytes -= this.#events[spare]!.memory;
      if (bytes < limits.bytes) break;
      spare++;
    }
    this.dropBelow(this.first + spare);
  }

  /** Drops the events below a sequence. */
  dropBelow(oldest: number): void {
    if (oldest <= this.first) return;
    this.#shared.clear();
    for (const { memory } of this.#events.splice(0, oldest - this.first)) this.#bytes -= memory;
  }

  /**
   * Returns the events after a cursor as one chunk, which is made once for all
   * subscribers that ask for the same.
   *
   * @param cursor Sequence before the first event: `first - 1` or more, and below `until`.
   * @param until Sequence of the last event.
   * @param filter Filter of the channels.
   * @param form Form of the bytes. By default, that of an event stream.
   */
  chunkAfter(
    cursor: number,
    until: number,
    filter: ChannelFilter,
    form: StreamForm = EVENT_FORM,
  ): Chunk {
    // Later, more may be meant by the same limit.
    until = Math.min(until, this.#last);
    const { key } = form;
    // A key of a filter ends with a bracket.
    const place = { cursor, until, filterKey: filter.key + key };
    const shared = this.#shared.get(place);
    if (shared) return shared;
    const chunk = this.#join(cursor, until, filter, form);
    // A chunk of one event may be that event's own bytes, and an empty one costs nothing
    // to make again. Any client can ask for any number of filters that keep nothing.
    if (chunk.count > (key === "" ? 1 : 0)) this.#keep(place, chunk);
    return chunk;
  }

  /**
   * Returns a whole replay as one chunk, with the marker that ends it, for all subscribers that
   * begin at the same event. With a marker for each, to join took 8 of 100 µs more.
   *
   * @param cursor Sequence before the first event: `first - 1` or more, and below `until`.
   * @param until Sequence of the last event.
   * @returns The same as {@linkcode EncodedEvents.chunkAfter} if it is empty or more
   *   than a chunk.
   */
  replayAfter(cursor: number, until: number, filter: ChannelFilter, form: StreamForm): Chunk {
    const place = { cursor, until, filterKey: `${filter.key}${form.key} replay` };
    const shared = this.#shared.get(place);
    if (shared) return shared;
    const chunk = this.chunkAfter(cursor, until, filter, form);
    if (chunk.count === 0 || chunk.cursor < until) return chunk;
    const position = { epoch: this.epoch, sequence: until };
    const marker = form.control(position, "runnel.live", { replayed: chunk.count });
    const bytes = concat([chunk.bytes, marker]);
    const replay = { ...chunk, bytes, hasMarker: true };
    this.#keep(place, replay);
    return replay;
  }

  #keep(place: ChunkPlace, chunk: Chunk): void {
    this.#shared.keep(place, chunk, Math.min(MAX_SHARED_BYTES, this.#bytes));
  }

  /**
   * Drops the chunks that are kept. They stay right when events are appended, but
   * hardly anybody asks for the same once others are asked for.
   */
  dropChunks(): void {
    this.#shared.clear();
  }

  /**
   * Finds the newest events that a filter keeps, up to `count`.
   *
   * @returns Their number, and the sequence of the oldest of them: one more than
   *   {@linkcode EncodedEvents.last} if there are none.
   */
  newestOf(filter: ChannelFilter, count: number): { found: number; first: number } {
    let found = 0;
    let first = this.#last + 1;
    for (let i = this.#events.length - 1; i >= 0 && found < count; i--) {
      const { sequence, channel } = this.#events[i]!;
      if (!filter.keeps(channel)) continue;
      found++;
      first = sequence;
    }
    return { found, first };
  }

  /** Returns the different traces of the newest events after a cursor, up to a number of them. */
  tracesAfter(cursor: number, until: number, count: number): Set<string> {
    const traces = new Set<string>();
    for (let i = until - this.first; i >= 0 && traces.size < count; i--) {
      const event = this.#events[i];
      if (!event || event.sequence <= cursor) break;
      if (event.traceparent) traces.add(event.traceparent);
    }
    return traces;
  }

  #join(cursor: number, until: number, filter: ChannelFilter, form: StreamForm): Chunk {
    const [epoch, events, from] = [this.epoch, this.#events, cursor + 1 - this.first];
    return joinEvents(cursor, { epoch, events, from, until, filter, form });
  }
}
