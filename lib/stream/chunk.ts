/**
 * Makes chunks: consecutive events that leave with one write.
 *
 * @module
 */

import type { ChannelFilter } from "../protocol/mod.ts";
import type { EncodedEvent } from "./encoded_event.ts";
import type { StreamForm } from "./stream_form.ts";

/** Maximum size of a chunk, in bytes. One event fits at least, whatever its size. */
export const MAX_CHUNK_BYTES: number = 256 * 1024;

/** Consecutive events for a subscriber, ready to be sent. */
export interface Chunk {
  /** Bytes of the events; empty if the filter kept none. */
  bytes: Uint8Array;
  /** Number of events in `bytes`. */
  count: number;
  /** Sequence of the last event in `bytes`; 0 without events. */
  lastSequence: number;
  /** Sequence of the last event that was considered. */
  cursor: number;
  /** Whether the marker that ends a replay follows the events. @default {false} */
  hasMarker?: boolean;
}

/** Events of one log, and those of them that are wanted. */
export interface ChunkSource {
  /** Epoch of the log. */
  epoch: string;
  /** Contiguous events. */
  events: readonly EncodedEvent[];
  /** Index of the first event that is wanted. */
  from: number;
  /** Sequence of the last event that is wanted. */
  until: number;
  /** Filter of the channels. */
  filter: ChannelFilter;
  /** Form of the bytes. */
  form: StreamForm;
}

/**
 * Returns events as one chunk, as many as fit.
 *
 * @param cursor Sequence before the first event.
 */
export function joinEvents(
  cursor: number,
  { epoch, events, from, until, filter, form }: ChunkSource,
): Chunk {
  const parts: Uint8Array[] = [];
  let length = 0;
  let count = 0;
  let lastSequence = 0;
  for (let i = from; i < events.length; i++) {
    const event = events[i]!;
    const { sequence, channel } = event;
    if (sequence > until) break;
    if (filter.keeps(channel)) {
      const added = form.event(event, epoch);
      const size = lengthOf(added);
      if (count > 0 && length + size > MAX_CHUNK_BYTES) break;
      for (const part of added) parts.push(part);
      length += size;
      count++;
      lastSequence = sequence;
    }
    cursor = sequence;
  }
  return { bytes: concat(parts), count, lastSequence, cursor };
}

/** Returns parts in one buffer, or the part itself if there is one. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(lengthOf(parts));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}
