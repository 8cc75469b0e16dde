/**
 * An event as it is kept in memory, encoded once for all subscribers.
 *
 * @module
 */

import {
  type AcceptedEvent,
  encodeEvent,
  escapeLineSeparators,
  formatEventId,
} from "../protocol/mod.ts";

/** Memory of an event beside its bytes: measured at 535 bytes, mostly for the buffer. */
const OVERHEAD_BYTES = 512;

/** An event as it is kept in memory: in the event-stream format. */
export interface EncodedEvent {
  readonly sequence: number;
  readonly channel: string;
  /** Time at which it was accepted, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** The lines `event`, `data` and `id`, and the empty one that ends a block. */
  readonly bytes: Uint8Array;
  /** Trace that it belongs to, if any. */
  readonly traceparent: string | undefined;
  /** Memory that it takes, in bytes. */
  readonly memory: number;
}

/**
 * Encodes an event.
 *
 * @param epoch Epoch of its log.
 */
export function encode(event: AcceptedEvent, epoch: string): EncodedEvent {
  return withBytes(event, bytesOf(event, epoch));
}

/** Returns an event that keeps nothing but its own bytes in memory. */
export function encodeUnsent(event: EncodedEvent): EncodedEvent {
  return event instanceof UnsentEvent ? withBytes(event, event.bytes) : event;
}

/**
 * An event that is encoded when it is first sent. A filter passes over most events of a page,
 * and to encode one takes 5 µs and a buffer.
 */
export class UnsentEvent implements EncodedEvent {
  readonly sequence: number;
  readonly channel: string;
  readonly time: number;
  readonly traceparent: string | undefined;
  readonly memory: number;
  readonly #epoch: string;
  /** The event, until it is encoded: its payload is a part of a larger buffer. */
  #event: AcceptedEvent | null;
  #bytes: Uint8Array | null = null;

  /** @param epoch Epoch of its log. */
  constructor(event: AcceptedEvent, epoch: string) {
    this.sequence = event.sequence;
    this.channel = event.channel;
    this.time = event.time;
    this.traceparent = event.traceparent;
    this.memory = memoryOf(event.payload, event.traceparent);
    this.#epoch = epoch;
    this.#event = event;
  }

  get bytes(): Uint8Array {
    if (this.#event) this.#bytes = bytesOf(this.#event, this.#epoch);
    this.#event = null;
    return this.#bytes!;
  }
}

function withBytes(
  { sequence, channel, time, traceparent }: Omit<AcceptedEvent, "payload" | "traceparent"> & {
    traceparent?: string | undefined;
  },
  bytes: Uint8Array,
): EncodedEvent {
  return { sequence, channel, time, bytes, traceparent, memory: memoryOf(bytes, traceparent) };
}

function memoryOf(bytes: Uint8Array, traceparent: string | undefined): number {
  return bytes.length + OVERHEAD_BYTES + (traceparent?.length ?? 0);
}

/** Returns the bytes of an event in a buffer of their own: a payload would keep its whole segment. */
function bytesOf({ sequence, channel, payload }: AcceptedEvent, epoch: string): Uint8Array {
  const id = formatEventId({ epoch, sequence });
  return encodeEvent({ id, type: channel, data: escapeLineSeparators(payload) });
}
