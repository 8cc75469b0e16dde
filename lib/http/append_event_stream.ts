/**
 * Reads appended events from an event stream, such as that of a language model.
 *
 * @module
 */

import { EventStreamReader, validateChannel } from "../protocol/mod.ts";
import { type AppendedEvent, type AppendReader, assertEventSize } from "./append_reader.ts";
import {
  describePlace,
  type EventPlace,
  invalidEvent,
  jsonPayload,
  type PayloadLimits,
  textPayload,
} from "./event_checks.ts";
import { JsonScanner, type ScannedValue } from "./json_scanner.ts";
import { JsonError } from "./json_tokens.ts";
import { assertUtf8, placeOf } from "./publish_body.ts";

/**
 * Meaning of the data of an event stream.
 *
 * - `auto`: JSON if it begins with `{`, `[` or `"` and is valid, otherwise a text. So
 *   the token `1.0` of a language model stays a text, and so does `[DONE]`.
 * - `json`: JSON; anything else is refused.
 * - `text`: a text.
 */
export type DataMode = "auto" | "json" | "text";

/** The first characters of data that `auto` takes for JSON. */
const JSON_STARTS: readonly number[] = [...'{["'].map((char) => char.charCodeAt(0));

/**
 * Channels for the types that real sources use, but that a listener could not tell from
 * the events of an `EventSource` itself.
 */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ["error", "stream.error"],
  ["open", "stream.open"],
]);

/** Prefix of the control events of this service, which a stream that it sent contains. */
const CONTROL_PREFIX = "runnel.";

// A type may begin with U+FEFF, which is no byte order mark there.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Options for {@linkcode EventStreamBodyReader}. */
export interface EventStreamOptions {
  /** Channel of events without a type; `null` for `message`. */
  channel: string | null;
  /** Meaning of the data. */
  data: DataMode;
  /** Limits of a payload. */
  limits: PayloadLimits;
}

/**
 * Reader of the events of an event stream. The event type is the channel. It passes over
 * comments, `id`, `retry`, and control events of this service.
 */
export class EventStreamBodyReader implements AppendReader {
  readonly #options: EventStreamOptions;
  readonly #stream: EventStreamReader;
  /** Number of events so far. */
  #count = 0;

  /** Creates a reader at the start of a body. */
  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#stream = new EventStreamReader((bytes) =>
      assertEventSize(bytes, { index: this.#count, line: this.#stream.line })
    );
  }

  get heldBytes(): number {
    return this.#stream.heldBytes;
  }

  *read(bytes: Uint8Array): Generator<AppendedEvent, void> {
    for (const { type, data, line } of this.#stream.read(bytes)) {
      const place = { index: this.#count, line };
      const channel = this.#channelOf(type, place);
      if (channel === null) continue;
      const payload = this.#payloadOf(data, place);
      this.#count++;
      yield { event: { channel, payload }, end: false };
    }
  }

  /** Yields nothing: by the standard, a block that is not whole at the end is no event. */
  *end(): Generator<AppendedEvent, void> {}

  /** Returns the channel of an event, or `null` for a control event. */
  #channelOf(bytes: Uint8Array, place: EventPlace): string | null {
    if (bytes.length === 0) return this.#options.channel ?? "message";
    assertUtf8(bytes, `the type of ${describePlace(place)}`, "invalid-event");
    const type = decoder.decode(bytes);
    if (type.startsWith(CONTROL_PREFIX)) return null;
    const channel = RENAMED.get(type) ?? type;
    const problem = validateChannel(channel);
    if (problem) throw invalidEvent(place, `event type: ${problem}`);
    return channel;
  }

  #payloadOf(data: Uint8Array, place: EventPlace): Uint8Array {
    const { data: mode, limits } = this.#options;
    assertUtf8(data, `the data of ${describePlace(place)}`, "invalid-event");
    if (mode === "json" || mode === "auto" && JSON_STARTS.includes(data[0]!)) {
      const value = scan(data);
      if (!(value instanceof JsonError)) return jsonPayload(data, value, place, limits);
      if (mode === "json") {
        const { line, column } = placeOf(data, value.at);
        throw invalidEvent(
          place,
          `data: it is not JSON at line ${line} of it, column ${column}. ` +
            "Send JSON, or have it taken as a text with data=text",
        );
      }
    }
    return textPayload(data, place, limits);
  }
}

/** Returns the value that a text is, or the error if it is not JSON. */
function scan(text: Uint8Array): ScannedValue | JsonError {
  const scanner = new JsonScanner(text);
  try {
    const value = scanner.value();
    scanner.expectEnd();
    return value;
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
}
