/**
 * The two syntaxes of a stream: an event stream, and lines of JSON.
 *
 * @module
 */

import {
  encodeComment,
  encodeEvent,
  encodeRetry,
  escapeLineSeparators,
  formatEventId,
} from "../protocol/mod.ts";

/** An event as it is kept in memory: in the event-stream format. */
export interface EncodedEvent {
  sequence: number;
  channel: string;
  /** Time at which it was accepted, in milliseconds since the Unix epoch. */
  time: number;
  /** The lines `event`, `data` and `id`, and the empty one that ends a block. */
  bytes: Uint8Array;
  /** Trace that it belongs to, if any. */
  traceparent: string | undefined;
}

/** The pipeline of an event on a stream of several, and the ID that it has there. */
export interface JoinedPlace {
  pipeline: string;
  id: string;
}

/** A control event, or a position alone. */
export interface ControlEvent {
  id?: string | undefined;
  type?: string | undefined;
  /** Members of its data. */
  data?: Record<string, unknown> | undefined;
  /** Pipeline that it is about, on a stream of several. */
  pipeline?: string | undefined;
}

/** Syntax of a stream. */
export interface Syntax {
  /** Tells it from the other one. */
  readonly key: string;
  /** Encodes the time after which a client should come back, in milliseconds. */
  retry(ms: number): Uint8Array;
  /** Encodes a sign of life, and the position if it has moved. */
  keepAlive(id: string | undefined): Uint8Array;
  /** Encodes a control event. */
  control(event: ControlEvent): Uint8Array;
  /**
   * Encodes an event.
   *
   * @param epoch Epoch of its log.
   * @param traces Whether it carries its trace.
   * @param place Its place on a stream of several pipelines.
   * @returns The bytes, which are those of the event itself if they can be.
   */
  event(event: EncodedEvent, epoch: string, traces: boolean, place?: JoinedPlace): Uint8Array;
}

const LF = 10;
const encoder = new TextEncoder();
const EVENT = "event: ";
const DATA = "data: ";
const KEEP_ALIVE = encodeComment("keepalive");
const EMPTY = new Uint8Array();
const EMPTY_LINE = encoder.encode("\n");
const LINE_END = encoder.encode("}\n");

/**
 * The format of an `EventSource`.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream}
 */
export const EVENT_STREAM: Syntax = {
  key: "",
  retry: encodeRetry,
  // The one without a position is shared: nobody changes or transfers it.
  keepAlive: (id) => id === undefined ? KEEP_ALIVE : encodeComment("keepalive", id),
  control({ id, type, data, pipeline }) {
    const members = pipeline === undefined ? data : { pipeline, ...data };
    return encodeEvent({
      ...id === undefined ? {} : { id },
      ...type === undefined ? {} : { type },
      ...members ? { data: JSON.stringify(members) } : {},
    });
  },
  event(event, epoch, traces, place) {
    const { bytes, traceparent } = event;
    // An `EventSource` ignores fields that it does not know, as the standard asks of it.
    const trace = traces && traceparent ? `traceparent: ${traceparent}\n` : "";
    if (!place) return trace ? enclose(trace, bytes, "") : bytes;
    const shared = bytes.subarray(EVENT.length, bytes.length - idLength(event, epoch));
    return enclose(`${trace}${EVENT}${place.pipeline}/`, shared, `id: ${place.id}\n\n`);
  },
};

/**
 * Lines of JSON, for programs that read lines. A keep-alive is an empty line.
 *
 * @see {@link https://github.com/ndjson/ndjson-spec}
 */
export const JSON_LINES: Syntax = {
  key: " lines",
  retry: () => EMPTY,
  keepAlive: (id) => id === undefined ? EMPTY_LINE : JSON_LINES.control({ id }),
  control({ id, type, data, pipeline }) {
    // What is undefined is no member.
    const payload = pipeline === undefined ? data : { pipeline, ...data };
    return encoder.encode(`${JSON.stringify({ id, pipeline, channel: type, payload })}\n`);
  },
  event(event, epoch, traces, place) {
    const { bytes, sequence, channel, time, traceparent } = event;
    const head = JSON.stringify({
      id: place?.id ?? formatEventId({ epoch, sequence }),
      pipeline: place?.pipeline,
      channel,
      time: new Date(time),
      traceparent: traces ? traceparent : undefined,
    });
    // A payload is one line, so it is that of the data.
    const start = bytes.indexOf(LF) + 1 + DATA.length;
    const payload = bytes.subarray(start, bytes.length - idLength(event, epoch) - 1);
    // A channel is any text. In the data, the separators are escapes already.
    const before = escapeLineSeparators(encoder.encode(`${head.slice(0, -1)},"payload":`));
    const line = new Uint8Array(before.length + payload.length + LINE_END.length);
    line.set(before);
    line.set(payload, before.length);
    line.set(LINE_END, before.length + payload.length);
    return line;
  },
};

/** Returns the length of the lines after the data of an event, in bytes. */
function idLength({ sequence }: EncodedEvent, epoch: string): number {
  return "id: \n\n".length + formatEventId({ epoch, sequence }).length;
}

/** Returns bytes between two texts in ASCII. */
function enclose(before: string, bytes: Uint8Array, after: string): Uint8Array {
  const whole = new Uint8Array(before.length + bytes.length + after.length);
  encoder.encodeInto(before, whole);
  whole.set(bytes, before.length);
  encoder.encodeInto(after, whole.subarray(before.length + bytes.length));
  return whole;
}
