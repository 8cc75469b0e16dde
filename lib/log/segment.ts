/**
 * A segment: the events of one commit, or a part of them, as bytes. The log
 * stores segments, and isolates send them to each other.
 *
 * Layout, numbers big-endian: version (1 byte), commit token (8), time (float
 * of 8), first sequence (float of 8), count (4); then for each event the length
 * of its channel (2) and of its payload (4), and both in UTF-8.
 *
 * Version 2 is written if an event has a trace. There, the length of its
 * `traceparent` (1) follows the other two, and its text follows the payload: 0 for none,
 * 255 for that of the event before, because all events of a request have the same.
 *
 * @module
 */

import type { AcceptedEvent, NewEvent } from "../protocol/mod.ts";

/** Maximum size of a segment, in bytes: a value of Deno KV takes 65,536 with its own framing. */
export const MAX_SEGMENT_BYTES = 65_000;

/** Size of an event in a segment without its channel and payload, in bytes. */
export const EVENT_HEADER_BYTES = 6;

/** Version of a segment without traces. */
const VERSION = 1;

/** Version of a segment with traces. */
const TRACED_VERSION = 2;

/** Length of a trace that is that of the event before. */
const SAME_TRACE = 255;

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
  const version = events.some(({ traceparent }) => traceparent) ? TRACED_VERSION : VERSION;
  const segments: Uint8Array[] = [];
  let first = stamp.first;
  let channels: Uint8Array[] = [];
  let length = HEADER_BYTES;
  const close = (end: number) => {
    const start = first - stamp.first;
    const content = { version, events: events.slice(start, end), channels, length };
    segments.push(pack({ ...stamp, first }, content));
    first = stamp.first + end;
    channels = [];
    length = HEADER_BYTES;
  };
  events.forEach((event, index) => {
    // Most are that of the event before.
    const isRepeated = channels.length > 0 && event.channel === events[index - 1]?.channel;
    const channel = isRepeated ? channels.at(-1)! : encoder.encode(event.channel);
    const size = EVENT_HEADER_BYTES + channel.length + event.payload.length;
    const trace = version === VERSION ? 0 : 1 + (event.traceparent?.length ?? 0);
    if (length + size + trace > MAX_SEGMENT_BYTES && channels.length > 0) close(index);
    const isSame = trace > 1 && channels.length > 0 && isSameTrace(event, events[index - 1]);
    channels.push(channel);
    length += size + (isSame ? 1 : trace);
  });
  close(events.length);
  return segments;
}

function isSameTrace({ traceparent }: NewEvent, before: NewEvent | undefined): boolean {
  return traceparent !== undefined && traceparent === before?.traceparent;
}

/** The content of a segment. */
interface Content {
  version: number;
  events: readonly NewEvent[];
  /** Channel of each event in UTF-8. */
  channels: Uint8Array[];
  /** Size of the segment, in bytes. */
  length: number;
}

function pack(
  { token, time, first }: CommitStamp,
  { version, events, channels, length }: Content,
): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, version);
  view.setBigUint64(1, token);
  view.setFloat64(9, time);
  view.setFloat64(17, first);
  view.setUint32(25, events.length);
  let offset = HEADER_BYTES;
  events.forEach((event, index) => {
    const { payload, traceparent = "" } = event;
    const channel = channels[index]!;
    view.setUint16(offset, channel.length);
    view.setUint32(offset + 2, payload.length);
    offset += EVENT_HEADER_BYTES;
    const isSame = version === TRACED_VERSION && isSameTrace(event, events[index - 1]);
    if (version === TRACED_VERSION) {
      view.setUint8(offset++, isSame ? SAME_TRACE : traceparent.length);
    }
    bytes.set(channel, offset);
    bytes.set(payload, offset += channel.length);
    offset += payload.length;
    if (version === VERSION || isSame) return;
    bytes.set(encoder.encode(traceparent), offset);
    offset += traceparent.length;
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
  if (version !== VERSION && version !== TRACED_VERSION) {
    throw new TypeError(
      `Cannot read segment: expected version ${VERSION} or ${TRACED_VERSION}, got ${version}`,
    );
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
  let traceparent: string | undefined;
  for (let sequence = first; sequence <= last; sequence++) {
    const { start, payloadStart, payloadEnd, end, hasOwnTrace } = layoutAt(view, offset);
    if (end > bytes.length) break;
    if (hasOwnTrace) traceparent = decoder.decode(bytes.subarray(payloadEnd, end)) || undefined;
    events.push({
      sequence,
      time,
      channel: decoder.decode(bytes.subarray(start, payloadStart)),
      payload: bytes.subarray(payloadStart, payloadEnd),
      ...traceparent !== undefined && { traceparent },
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
    const { start, payloadStart, end } = layoutAt(view, offset);
    channels.push(decoder.decode(bytes.subarray(start, payloadStart)));
    offset = end;
  }
  return channels;
}

/** The parts of an event in a segment, by their offsets. */
interface EventLayout {
  /** Start of the channel. */
  start: number;
  payloadStart: number;
  payloadEnd: number;
  /** End of the event, after its own trace. */
  end: number;
  /** Whether it has a trace of its own, or tells that it has none. */
  hasOwnTrace: boolean;
}

function layoutAt(view: DataView, offset: number): EventLayout {
  const isTraced = view.getUint8(0) === TRACED_VERSION;
  const start = offset + EVENT_HEADER_BYTES + (isTraced ? 1 : 0);
  const payloadStart = start + view.getUint16(offset);
  const payloadEnd = payloadStart + view.getUint32(offset + 2);
  const traceLength = isTraced ? view.getUint8(start - 1) : 0;
  const hasOwnTrace = isTraced && traceLength !== SAME_TRACE;
  return {
    start,
    payloadStart,
    payloadEnd,
    end: payloadEnd + (hasOwnTrace ? traceLength : 0),
    hasOwnTrace,
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
