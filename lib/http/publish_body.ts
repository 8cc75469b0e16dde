/**
 * Reads the text of a publish into the envelopes of its events.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { RunnelError, type RunnelErrorType } from "../base/mod.ts";
import { type Envelope, PUBLISH_KEYS, readEnvelope } from "./envelope.ts";
import { JsonScanner } from "./json_scanner.ts";
import { JsonError, skipSpace } from "./json_tokens.ts";

const LINE_FEED = 0x0a;
const OBJECT = 0x7b;

const LINES_HINT = "For one event a line, send Content-Type: application/x-ndjson";

/** Envelopes of a body, and their number in it: no more are read than a request may have. */
export interface Envelopes {
  /** The envelopes, in order. */
  envelopes: Envelope[];
  /** Number of events in the body. */
  count: number;
}

/**
 * Reads one event, or an array of events.
 *
 * @param before Fields of an earlier event, which this one may repeat.
 * @throws {RunnelError} `malformed-request` if the text is not JSON.
 */
export function readJson(text: Uint8Array, maxEvents: number, before: unknown): Envelopes {
  const envelopes: Envelope[] = [];
  let count = 0;
  scanJson(text, "The body", (scanner) => {
    const readNext = () => {
      if (++count > maxEvents) scanner.value();
      else {
        envelopes.push(
          readEnvelope(scanner, text, PUBLISH_KEYS, envelopes.at(-1)?.fields ?? before),
        );
      }
    };
    if (!scanner.consume("[")) return readNext();
    if (scanner.consume("]")) return;
    do readNext(); while (scanner.consume(","));
    scanner.expect("]");
  });
  return { envelopes, count };
}

/**
 * Reads one event a line. Blank lines are skipped.
 *
 * @param before Fields of an earlier event, which this one may repeat.
 * @throws {RunnelError} `malformed-request` if a line is not JSON; it names the event.
 */
export function readNdjson(text: Uint8Array, maxEvents: number, before: unknown): Envelopes {
  const envelopes: Envelope[] = [];
  let count = 0;
  for (let start = 0, end; start < text.length; start = end + 1) {
    end = text.indexOf(LINE_FEED, start);
    if (end < 0) end = text.length;
    if (skipSpace(text, start) >= end) continue;
    if (++count > maxEvents) continue;
    // The positions of an envelope are those in the whole body.
    const lines = text.subarray(0, end);
    scanJson(lines, `Event ${count - 1}`, (scanner) => {
      const fields = envelopes.at(-1)?.fields ?? before;
      envelopes.push(readEnvelope(scanner, lines, PUBLISH_KEYS, fields));
    }, { start });
  }
  return { envelopes, count };
}

/**
 * Asserts that a text is UTF-8, without decoding it.
 *
 * @param name Name of the text, for the error.
 * @param type Type of the error.
 * @throws {RunnelError} `malformed-request`, or another type, if it is not.
 */
export function assertUtf8(
  text: Uint8Array,
  name: string = "the body",
  type: RunnelErrorType = "malformed-request",
): void {
  if (!isUtf8(text)) throw new RunnelError(type, `Cannot publish: ${name} is not UTF-8`);
}

/** Options for {@linkcode scanJson}. */
interface ScanOptions {
  start?: number;
  line?: number;
  type?: RunnelErrorType;
}

/**
 * Scans a text to its end.
 *
 * @param name Name of the text, for the error.
 * @param options.start Index at which the text starts in its bytes.
 * @param options.line Number of the line with which the bytes begin, for the error.
 * @param options.type Type of the error.
 * @throws {RunnelError} `malformed-request`, or another type, if it is not JSON.
 */
export function scanJson<T>(
  text: Uint8Array,
  name: string,
  read: (scanner: JsonScanner) => T,
  { start, line: firstLine = 1, type = "malformed-request" }: ScanOptions = {},
): T {
  const scanner = new JsonScanner(text, start);
  try {
    const value = read(scanner);
    scanner.expectEnd();
    return value;
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    const { line, column } = placeOf(text, cause.at);
    throw new RunnelError(
      type,
      `Cannot publish: ${name} is not JSON at line ${line + firstLine - 1}, column ${column}` +
        (isNextLine(text, cause.at) ? `. ${LINES_HINT}` : ""),
      { cause },
    );
  }
}

/** Returns the line and column of a byte, from 1 on. A column is a UTF-16 unit, as in editors. */
export function placeOf(text: Uint8Array, at: number): { line: number; column: number } {
  const start = at === 0 ? 0 : text.lastIndexOf(LINE_FEED, at - 1) + 1;
  const line = text.subarray(0, start).reduce((sum, byte) => sum + Number(byte === LINE_FEED), 1);
  return { line, column: new TextDecoder().decode(text.subarray(start, at)).length + 1 };
}

/** Whether an object begins on a line of its own where a text should have ended. */
function isNextLine(text: Uint8Array, at: number): boolean {
  const before = text.subarray(0, at);
  return text[at] === OBJECT && /\}\s*\n\s*$/.test(new TextDecoder().decode(before.subarray(-16)));
}
