/**
 * Readers of the payloads in the pieces of a source.
 *
 * @module
 */

import { MAX_BODY_BYTES } from "../protocol/event_rules.ts";
import { EventStreamReader } from "../protocol/event_stream_reader.ts";
import { LineSplitter } from "../protocol/line_splitter.ts";
import { assertPayloadSize, toJson } from "./serialized_event.ts";

/**
 * Maximum length of a piece of text, in UTF-16 code units. As JSON, it fits into a payload
 * whatever it contains: a control character becomes six bytes.
 */
const MAX_TEXT_LENGTH = 8 * 1024;

/** Prefix of the control events in a stream of the service. */
const CONTROL_PREFIX = "runnel.";

/** Reader of one source. */
export interface SourceReader {
  /**
   * Yields the payloads that a piece completes, as JSON text. All have to be taken before
   * the next piece.
   *
   * @throws {TypeError | RangeError} If a payload is invalid, too large or too deep.
   */
  read(piece: unknown): Iterable<string>;
  /** Yields the payloads that are complete at the end of the source. */
  end(): Iterable<string>;
}

/** Reader of values. Bytes are text, and each piece of it is a payload. */
export class ValueReader implements SourceReader {
  // Without its own search for a byte order mark: that of Deno removes later ones, too.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #isAtStart = true;

  *read(piece: unknown): Generator<string, void> {
    if (isBytes(piece)) yield* this.#split(this.#decoder.decode(piece, { stream: true }));
    else yield toJson(piece);
  }

  *end(): Generator<string, void> {
    yield* this.#split(this.#decoder.decode());
  }

  *#split(text: string): Generator<string, void> {
    yield* split(this.#isAtStart && text.startsWith("\uFEFF") ? text.slice(1) : text);
    if (text !== "") this.#isAtStart = false;
  }
}

/** Reader of an event stream. The data of each event is a payload, whatever its type is. */
export class EventStreamSourceReader implements SourceReader {
  readonly #stream = new EventStreamReader((bytes) => assertHeld(bytes, "an event"));

  *read(piece: unknown): Generator<string, void> {
    for (const { type, data } of this.#stream.read(toBytes(piece))) {
      if (decode(type).startsWith(CONTROL_PREFIX)) continue;
      const text = decode(data);
      // The numbers of a model, such as the token 1.0, stay texts.
      yield /^[{["]/.test(text) && isJson(text) ? checked(text) : toJson(text);
    }
  }

  /** Yields nothing: by the standard, a block that is not whole at the end is no event. */
  *end(): Generator<string, void> {}
}

/** Reader of NDJSON: each line is a payload. Blank lines are passed over. */
export class NdjsonSourceReader implements SourceReader {
  readonly #lines = new LineSplitter({
    takesCr: false,
    checkLength: (bytes) => assertHeld(bytes, `line ${this.#lines.line}`),
  });

  *read(piece: unknown): Generator<string, void> {
    for (const line of this.#lines.split(toBytes(piece))) yield* this.#readLine(line);
  }

  *end(): Generator<string, void> {
    yield* this.#readLine(this.#lines.end());
  }

  *#readLine(line: Uint8Array): Generator<string, void> {
    const text = decode(line);
    if (text.trim() === "") return;
    if (isJson(text)) yield checked(text);
    else throw new TypeError(`Cannot send: line ${this.#lines.line} of the source is not JSON`);
  }
}

// A byte order mark at the start of a source is removed by its splitter. Elsewhere it is text.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function isBytes(piece: unknown): piece is Uint8Array<ArrayBuffer> | ArrayBuffer {
  return piece instanceof Uint8Array || piece instanceof ArrayBuffer;
}

function toBytes(piece: unknown): Uint8Array {
  if (isBytes(piece)) return piece instanceof ArrayBuffer ? new Uint8Array(piece) : piece;
  throw new TypeError("Cannot send: the body of the response: expected bytes");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Returns JSON text as it is: a parser would change large numbers in it. */
function checked(text: string): string {
  assertPayloadSize(text);
  return text;
}

function assertHeld(bytes: number, part: string): void {
  if (bytes <= MAX_BODY_BYTES) return;
  throw new RangeError(
    `Cannot send: ${part} of the source has more than ${MAX_BODY_BYTES} bytes`,
  );
}

/** Yields the parts of a text, each as a payload. A surrogate pair stays whole. */
function* split(text: string): Generator<string, void> {
  for (let start = 0; start < text.length;) {
    let end = start + MAX_TEXT_LENGTH;
    if (/[\uD800-\uDBFF]/.test(text[end - 1] ?? "")) end--;
    yield JSON.stringify(text.slice(start, end));
    start = end;
  }
}
