/**
 * Encodes blocks of the event-stream format as bytes.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream}
 * @module
 */

const LF = 10;
const CR = 13;
const encoder = new TextEncoder();
const DATA = encoder.encode("data: ");

/** One block of an event stream. */
export interface StreamEvent {
  /** Event ID, which a client sends as its last event ID when it reconnects. */
  id?: string;
  /** Event type. Without it a client dispatches a `message`. */
  type?: string;
  /**
   * Data, as a string or in UTF-8. Each of its lines becomes a `data:` line, and
   * a client reads every line break as LF. Without data a client dispatches
   * nothing, but still stores the `id`.
   */
  data?: string | Uint8Array;
}

/**
 * Encodes one event, with the blank line that ends it.
 *
 * The ID is the last line: some clients take it as soon as they have read the
 * line, and would lose the event if the connection broke after it.
 *
 * @throws {TypeError} If `id` or `type` holds a line break, which would start
 *   another field, or `id` holds U+0000, with which a client ignores the ID.
 */
export function encodeEvent({ id, type, data }: StreamEvent): Uint8Array {
  const before = type === undefined ? "" : `event: ${oneLine("type", type)}\n`;
  const after = id === undefined ? "\n" : `id: ${oneLine("id", id)}\n\n`;
  if (data === undefined) return encoder.encode(before + after);
  // In one step: control events are encoded for each subscriber.
  if (typeof data === "string" && !/[\r\n]/.test(data)) {
    return encoder.encode(`${before}data: ${data}\n${after}`);
  }
  const lines = splitLines(typeof data === "string" ? encoder.encode(data) : data);
  const head = encoder.encode(before);
  const tail = encoder.encode(after);
  let length = head.length + tail.length;
  for (const line of lines) length += DATA.length + line.length + 1;
  const bytes = new Uint8Array(length);
  bytes.set(head);
  let offset = head.length;
  for (const line of lines) {
    bytes.set(DATA, offset);
    bytes.set(line, offset += DATA.length);
    bytes[offset += line.length] = LF;
    offset++;
  }
  bytes.set(tail, offset);
  return bytes;
}

/**
 * Encodes a comment, which clients ignore: it keeps a connection alive. An `id`
 * beside it moves the last event ID of a client without dispatching anything.
 *
 * No blank line follows a comment alone: some clients dispatch an empty event there.
 *
 * @throws {TypeError} If `text` or `id` holds a line break, or `id` U+0000.
 */
export function encodeComment(text: string, id?: string): Uint8Array {
  const position = id === undefined ? "" : `id: ${oneLine("id", id)}\n\n`;
  return encoder.encode(`:${oneLine("comment", text)}\n${position}`);
}

/**
 * Encodes the reconnection time: a client waits for it before it reconnects. No
 * blank line follows, as after a comment.
 *
 * @param ms Reconnection time in whole milliseconds, 0 or more.
 * @throws {RangeError} If `ms` is negative or not whole: a client would ignore it.
 */
export function encodeRetry(ms: number): Uint8Array {
  if (!Number.isSafeInteger(ms) || ms < 0) {
    throw new RangeError(`Cannot encode reconnection time: expected whole milliseconds, got ${ms}`);
  }
  return encoder.encode(`retry: ${ms}\n`);
}

function oneLine(field: string, text: string): string {
  if (/[\r\n]/.test(text)) {
    throw new TypeError(`Cannot encode ${field}: it holds a line break`);
  }
  if (field === "id" && text.includes("\0")) {
    throw new TypeError("Cannot encode id: it holds U+0000, with which clients ignore it");
  }
  return text;
}

function splitLines(data: Uint8Array): Uint8Array[] {
  if (!data.includes(LF) && !data.includes(CR)) return [data];
  const lines = [];
  let start = 0;
  for (let i = 0; i < data.length; i++) {
    if (data[i] !== LF && data[i] !== CR) continue;
    lines.push(data.subarray(start, i));
    if (data[i] === CR && data[i + 1] === LF) i++;
    start = i + 1;
  }
  lines.push(data.subarray(start));
  return lines;
}
