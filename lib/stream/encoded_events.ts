/**
 * Contiguous events of one pipeline in memory, each encoded once for all
 * subscribers: a pipeline's tail, or a page of its log.
 *
 * @module
 */

import {
  type AcceptedEvent,
  type ChannelFilter,
  encodeEvent,
  formatEventId,
} from "../protocol/mod.ts";

/** How many bytes a subscriber is given at once, at most, but one event at least. */
export const MAX_CHUNK_BYTES: number = 256 * 1024;

/** The bytes of chunks that a run remembers until it changes, for subscribers at the same place. */
const MAX_SHARED_BYTES = 2 * MAX_CHUNK_BYTES;

/** What an event costs in memory beside its bytes: measured at 535 bytes, mostly for the buffer. */
const EVENT_OVERHEAD_BYTES = 512;

/** An event as it goes out. */
interface EncodedEvent {
  sequence: number;
  channel: string;
  bytes: Uint8Array;
}

/** Events for a subscriber, ready to be sent. */
export interface Chunk {
  /** The events' bytes; empty if the filter kept none. */
  bytes: Uint8Array;
  /** How many events the bytes are. */
  count: number;
  /** The sequence of the last event in `bytes`; 0 if there is none. */
  lastSequence: number;
  /** The sequence of the last event that was looked at. */
  cursor: number;
}

/** What {@linkcode EncodedEvents.trim} leaves. */
export interface TrimLimits {
  /** At least this many events … */
  events: number;
  /** … and at least this many bytes. */
  bytes: number;
}

/**
 * Contiguous events, encoded.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { ChannelFilter } from "../protocol/mod.ts";
 *
 * const run = new EncodedEvents("AAECAwQFBgc", 6);
 * run.append([{ sequence: 7, time: 0, channel: "events", payload: new TextEncoder().encode("1") }]);
 * const { bytes } = run.chunkAfter(6, 7, new ChannelFilter([]));
 * equal(new TextDecoder().decode(bytes), "id: AAECAwQFBgc-7\nevent: events\ndata: 1\n\n");
 * ```
 */
export class EncodedEvents {
  /** Which log of the pipeline the events are from. */
  readonly epoch: string;
  #events: EncodedEvent[] = [];
  #last: number;
  #bytes = 0;
  /** Chunks made since the last change, by place and filter. */
  readonly #shared = new Map<string, Chunk>();
  #sharedBytes = 0;

  /**
   * Makes an empty run.
   *
   * @param epoch Which log of the pipeline the events are from.
   * @param after The sequence after which the run begins.
   */
  constructor(epoch: string, after: number) {
    this.epoch = epoch;
    this.#last = after;
  }

  /** The sequence of the newest event; of the one before the run while it is empty. */
  get last(): number {
    return this.#last;
  }

  /** The sequence of the oldest event that is here; one more than `last` if none is. */
  get first(): number {
    return this.#last + 1 - this.#events.length;
  }

  /** The memory that the events take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds the events that follow.
   *
   * @param events Contiguous events, the first right after {@linkcode EncodedEvents.last}.
   * @throws {RangeError} If the first is another.
   */
  append(events: readonly AcceptedEvent[]): void {
    for (const { sequence, channel, payload } of events) {
      if (sequence !== this.#last + 1) {
        throw new RangeError(`Cannot append event: expected ${this.#last + 1}, got ${sequence}`);
      }
      const id = formatEventId({ epoch: this.epoch, sequence });
      const bytes = encodeEvent({ id, type: channel, data: payload });
      this.#events.push({ sequence, channel, bytes });
      this.#bytes += memoryOf(bytes);
      this.#last = sequence;
    }
    this.#forgetShared();
  }

  /**
   * Adds the events of another run, which follow.
   *
   * @param run Of the same log.
   * @throws {RangeError} If the first does not follow {@linkcode EncodedEvents.last}.
   */
  appendAll(run: EncodedEvents): void {
    if (run.first !== this.#last + 1) {
      throw new RangeError(`Cannot append event: expected ${this.#last + 1}, got ${run.first}`);
    }
    for (const event of run.#events) this.#events.push(event);
    this.#bytes += run.#bytes;
    this.#last = run.#last;
    this.#forgetShared();
  }

  /**
   * Gives up the oldest events that are not needed to stay within limits.
   *
   * @param limits What stays at least.
   */
  trim(limits: TrimLimits): void {
    this.#forgetShared();
    let bytes = this.#bytes;
    let spare = 0;
    while (this.#events.length - spare > limits.events) {
      bytes -= memoryOf(this.#events[spare]!.bytes);
      if (bytes < limits.bytes) break;
      spare++;
    }
    this.dropBelow(this.first + spare);
  }

  /**
   * Gives up the events below a sequence.
   *
   * @param oldest The sequence of the oldest event that stays.
   */
  dropBelow(oldest: number): void {
    if (oldest <= this.first) return;
    this.#forgetShared();
    for (const { bytes } of this.#events.splice(0, oldest - this.first)) {
      this.#bytes -= memoryOf(bytes);
    }
  }

  /**
   * The events after a cursor as one chunk, made once for all subscribers that
   * ask for the same.
   *
   * @param cursor After which sequence: `first - 1` or more, and below `until`.
   * @param until Up to which sequence.
   * @param filter Which channels.
   */
  chunkAfter(cursor: number, until: number, filter: ChannelFilter): Chunk {
    const key = `${cursor} ${until} ${filter.key}`;
    const shared = this.#shared.get(key);
    if (shared) return shared;
    const chunk = this.#join(cursor, until, filter);
    // A chunk of one event is that event's own bytes.
    if (chunk.count !== 1) {
      this.#sharedBytes += chunk.bytes.length;
      if (this.#sharedBytes > MAX_SHARED_BYTES) this.#forgetShared();
      this.#shared.set(key, chunk);
    }
    return chunk;
  }

  #forgetShared(): void {
    this.#shared.clear();
    this.#sharedBytes = 0;
  }

  #join(cursor: number, until: number, filter: ChannelFilter): Chunk {
    const parts: Uint8Array[] = [];
    let length = 0;
    let lastSequence = 0;
    for (let i = cursor + 1 - this.first; i < this.#events.length; i++) {
      const { sequence, channel, bytes } = this.#events[i]!;
      if (sequence > until) break;
      if (filter.keeps(channel)) {
        if (parts.length > 0 && length + bytes.length > MAX_CHUNK_BYTES) break;
        parts.push(bytes);
        length += bytes.length;
        lastSequence = sequence;
      }
      cursor = sequence;
    }
    return { bytes: concat(parts, length), count: parts.length, lastSequence, cursor };
  }
}

function memoryOf(bytes: Uint8Array): number {
  return bytes.length + EVENT_OVERHEAD_BYTES;
}

function concat(parts: Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
