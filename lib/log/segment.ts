/**
 * A segment: the events of one commit, or a part of them, as bytes. The log
 * stores segments, and isolates send them to each other.
 *
 * Layout, numbers big-endian: version (1 byte), commit token (8), time (float
 * of 8), first sequence (float of 8), count (4); then for each event the length
 * of its channel (2) and of its payload (4), and both in UTF-8.
 *
 * @module
 */

import type { AcceptedEvent, NewEvent } from "../protocol/mod.ts";

/** Maximum size of a segment, in bytes: a value of Deno KV takes 65,536 with its own framing. */
export const MAX_SEGMENT_BYTES = 65_000;

/** Size of an event in a segment without its channel and payload, in bytes. */
export const EVENT_HEADER_BYTES = 6;

const VERSION = 1;
const HEADER_BYTES = 29;
const encoder = new TextEncoder();
// A channel may begin with U+FEFF, which is no byte order mark there.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Header of a segment. */
export interface SegmentHeader {
  /** Token of the commit that wrote the segment: 64 random bits. */
  token: bigint;
  /** Time at which its events were accepted, in milliseconds since the Unix epoch. */
  time: number;
  /** Sequence of its first event. */
  first: number;
  /** Sequence of its last event. */
  last: number;
}

/** Data that the events of one commit share. */
export interface CommitStamp {
  /** Token of the commit: 64 random bits. */
  token: bigint;
  /** Time of the commit, in milliseconds since the Unix epoch. */
  time: number;
  /** Sequence of its first event. */
  first: number;
}

/** Packs events, in order, into as few segments as possible. */
export function packSegments(stamp: CommitStamp, events: readonly NewEvent[]): Uint8Array[] {
  const segments: Uint8Array[] = [];
  let first = stamp.first;
  let channels: Uint8Array[] = [];
  let length = HEADER_BYTES;
  const close = (end: number) => {
    const start = first - stamp.first;
    segments.push(pack({ ...stamp, first }, events.slice(start, end), channels, length));
    first = stamp.first + end;
    channels = [];
    length = HEADER_BYTES;
  };
  events.forEach((event, index) => {
    const channel = encoder.encode(event.channel);
    const size = EVENT_HEADER_BYTES + channel.length + event.payload.length;
    if (length + size > MAX_SEGMENT_BYTES && channels.length > 0) close(index);
    channels.push(channel);
    length += size;
  });
  close(events.length);
  return segments;
}

function pack(
  { token, time, first }: CommitStamp,
  events: readonly NewEvent[],
  channels: Uint8Array[],
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setBigUint64(1, token);
  view.setFloat64(9, time);
  view.setFloat64(17, first);
  view.setUint32(25, events.length);
  let offset = HEADER_BYTES;
  events.forEach(({ payload }, index) => {
    const channel = channels[index]!;
    view.setUint16(offset, channel.length);
    view.setUint32(offset + 2, payload.length);
    bytes.set(channel, offset += EVENT_HEADER_BYTES);
    bytes.set(payload, offset += channel.length);
    offset += payload.length;
  });
  return bytes;
}

/**
 * Reads the header of a segment alone.
 *
 * @throws {TypeError} If another version of this service wrote the segment.
 */
export function readSegmentHeader(bytes: Uint8Array): SegmentHeader {
  const view = viewOf(bytes);
  const version = view.getUint8(0);
  if (version !== VERSION) {
    throw new TypeError(`Cannot read segment: expected version ${VERSION}, got ${version}`);
  }
  const first = view.getFloat64(17);
  const last = first + view.getUint32(25) - 1;
  return { token: view.getBigUint64(1), time: view.getFloat64(9), first, last };
}

/**
 * Unpacks the events of a segment. Their payloads are views of `bytes`, not copies.
 *
 * @throws {TypeError} If another version of this service wrote the segment.
 * @throws {RangeError} If it is damaged: its lengths do not fit its size.
 */
export function unpackSegment(bytes: Uint8Array): AcceptedEvent[] {
  const { time, first, last } = readSegmentHeader(bytes);
  const view = viewOf(bytes);
  const events: AcceptedEvent[] = [];
  let offset = HEADER_BYTES;
  for (let sequence = first; sequence <= last; sequence++) {
    const payloadStart = offset + EVENT_HEADER_BYTES + view.getUint16(offset);
    const end = payloadStart + view.getUint32(offset + 2);
    if (end > bytes.length) break;
    events.push({
      sequence,
      time,
      channel: decoder.decode(bytes.subarray(offset + EVENT_HEADER_BYTES, payloadStart)),
      payload: bytes.subarray(payloadStart, end),
    });
    offset = end;
  }
  if (offset !== bytes.length || events.length !== last - first + 1 || events.length === 0) {
    throw new RangeError("Cannot read segment: its lengths do not fit its size");
  }
  return events;
}

/**
 * Reads the channels of the events of a segment alone, oldest first.
 *
 * @throws {TypeError} If another version of this service wrote the segment.
 */
export function readChannels(bytes: Uint8Array): string[] {
  const { first, last } = readSegmentHeader(bytes);
  const view = viewOf(bytes);
  const channels: string[] = [];
  let offset = HEADER_BYTES;
  for (let sequence = first; sequence <= last; sequence++) {
    const start = offset + EVENT_HEADER_BYTES;
    const end = start + view.getUint16(offset);
    channels.push(decoder.decode(bytes.subarray(start, end)));
    offset = end + view.getUint32(offset + 2);
  }
  return channels;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
