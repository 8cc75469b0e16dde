/**
 * Reads appended events from NDJSON: one event a line.
 *
 * @module
 */

import { LineSplitter, validateChannel } from "../protocol/mod.ts";
import { type AppendedEvent, type AppendReader, assertEventSize } from "./append_reader.ts";
import { APPEND_KEYS, readEnvelope } from "./envelope.ts";
import {
  describePlace,
  type EventPlace,
  invalidEvent,
  jsonPayload,
  parseFields,
  type PayloadLimits,
} from "./event_checks.ts";
import { skipSpace } from "./json_tokens.ts";
import { assertUtf8, scanJson } from "./publish_body.ts";
import { appendedEventSchema } from "./schemas.ts";

const ONLY_END = "channel is missing; payload is missing. " +
  "To end the run without an event, use POST /pipelines/:pipeline/end";

/** Reader of events `{"channel","payload","end"?}`, one a line. Blank lines are skipped. */
export class NdjsonReader implements AppendReader {
  readonly #limits: PayloadLimits;
  readonly #lines: LineSplitter;
  /** Number of events so far. */
  #count = 0;
  /** Fields of the event before, which most events repeat. */
  #before: { channel: string } | null = null;
  #hasEnded = false;

  /** Creates a reader at the start of a body. */
  constructor(limits: PayloadLimits) {
    this.#limits = limits;
    this.#lines = new LineSplitter({
      takesCr: false,
      checkLength: (bytes) => assertEventSize(bytes, this.#place),
    });
  }

  get heldBytes(): number {
    return this.#lines.heldBytes;
  }

  get #place(): Required<EventPlace> {
    return { index: this.#count, line: this.#lines.line };
  }

  *read(bytes: Uint8Array): Generator<AppendedEvent, void> {
    for (const line of this.#lines.split(bytes)) {
      const appended = this.#readLine(line);
      if (appended) yield appended;
    }
  }

  *end(): Generator<AppendedEvent, void> {
    const appended = this.#readLine(this.#lines.end());
    if (appended) yield appended;
  }

  /** Returns the event of a line, or `null` if it is blank. */
  #readLine(line: Uint8Array): AppendedEvent | null {
    if (skipSpace(line, 0) === line.length) return null;
    const place = this.#place;
    if (this.#hasEnded) throw invalidEvent(place, 'it follows the end, an event with "end": true');
    assertUtf8(line, describePlace(place), "invalid-event");
    const { fields, payload, end, problem } = scanJson(
      line,
      `Event ${place.index}`,
      (scanner) => readEnvelope(scanner, line, APPEND_KEYS, this.#before),
      { line: place.line, type: "invalid-event" },
    );
    if (problem !== null) throw invalidEvent(place, problem);
    if (end && Object.keys(fields as object).length === 0) throw invalidEvent(place, ONLY_END);
    const { channel } = payload !== null && this.#hasValidChannel(fields)
      ? fields
      : parseFields(appendedEventSchema, fields, place);
    const event = { channel, payload: jsonPayload(line, payload!, place, this.#limits) };
    this.#before = { channel };
    this.#count++;
    this.#hasEnded = end;
    return { event, end };
  }

  /** Whether the channel of an event is valid. Most are that of the event before. */
  #hasValidChannel(fields: unknown): fields is { channel: string } {
    const { channel } = fields as { channel?: unknown };
    return typeof channel === "string" &&
      (channel === this.#before?.channel || validateChannel(channel) === null);
  }
}
