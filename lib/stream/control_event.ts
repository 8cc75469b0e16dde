/**
 * Events of the service itself, between those of publishers.
 *
 * @module
 */

import { encodeEvent, formatEventId, type Position } from "../protocol/mod.ts";

/** Encodes a control event, whose ID is the position that the stream has reached. */
export function encodeControlEvent(position: Position, type: string, data: unknown): Uint8Array {
  return encodeEvent({ id: formatEventId(position), type, data: JSON.stringify(data) });
}

/** Encodes the marker that ends a replay, and tells history from news. */
export function encodeMarker(position: Position, replayed: number): Uint8Array {
  return encodeControlEvent(position, "runnel.live", { replayed });
}
