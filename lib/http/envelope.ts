/**
 * Reads the envelope of an event from the text of a publish. The payload stays text.
 *
 * @module
 */

import { findNearest } from "../base/mod.ts";
import type { JsonScanner, ScannedValue } from "./json_scanner.ts";
import { QUOTE } from "./json_tokens.ts";

/** Maximum number of unrecognized keys that an error names, and of UTF-16 units of each. */
const MAX_NAMED_KEYS = 3;
const MAX_KEY_CHARS = 40;

/** Keys of an event that names its pipeline. */
export const PUBLISH_KEYS: readonly string[] = ["pipeline", "channel", "payload", "end"];

/** Keys of an event whose pipeline is in the path. */
export const APPEND_KEYS: readonly string[] = ["channel", "payload", "end"];

/** Keys that a misspelt name may be near to. `end` is so short that "kind" would be near it. */
const LONG_KEYS = PUBLISH_KEYS.filter((key) => key !== "end");

/** Names that other services use for the keys, in small letters without `_`. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  pipelineid: "pipeline",
  id: "pipeline",
  event: "channel",
  eventname: "channel",
  eventtype: "channel",
  name: "channel",
  topic: "channel",
  type: "channel",
  body: "payload",
  content: "payload",
  data: "payload",
  message: "payload",
  value: "payload",
  done: "end",
  ended: "end",
};

/** An event as a publisher sent it, unchecked. */
export interface Envelope {
  /**
   * The fields for the schema of events, or a value of the same kind if the event
   * is not an object. Of a field that is not a string, only the kind counts.
   */
  fields: unknown;
  /** The text of the payload, if there is one. */
  payload: ScannedValue | null;
  /** Whether the event ends the run. */
  end: boolean;
  /** The rule that its keys or its `end` violate, or `null`. */
  problem: string | null;
}

const BACKSLASH = 0x5c;
const MAX_ASCII = 0x7f;
// A channel may begin with U+FEFF, which is no byte order mark there.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the envelope at the position of a scanner.
 *
 * @param bytes The text of the scanner, in UTF-8.
 * @param keys Keys that it may have.
 * @param before Fields of an envelope before it, whose strings are taken if they are the same.
 * @throws {SyntaxError} If it is not JSON.
 */
export function readEnvelope(
  scanner: JsonScanner,
  bytes: Uint8Array,
  keys: readonly string[],
  before: unknown,
): Envelope {
  if (!scanner.consume("{")) {
    return { fields: sampleOf(bytes, scanner.value()), payload: null, end: false, problem: null };
  }
  const fields: Record<string, unknown> = {};
  const unrecognized: string[] = [];
  let repeated: string | null = null;
  let payload: ScannedValue | null = null;
  let end: ScannedValue | null = null;
  if (!scanner.consume("}")) {
    do {
      const key = scanner.string();
      scanner.expect(":");
      const value = scanner.value();
      // It is refused by now: the rest only has to be JSON.
      if (repeated !== null || unrecognized.length === MAX_NAMED_KEYS) continue;
      const name = keys.find((name) => isText(bytes, key, name)) ?? decodeString(bytes, key);
      if (!keys.includes(name)) unrecognized.push(name);
      else if (Object.hasOwn(fields, name) || name === "end" && end) repeated = name;
      else if (name === "payload") fields[name] = payload = value;
      else if (name === "end") end = value;
      else fields[name] = reuse(before, name, bytes, value) ?? sampleOf(bytes, value);
    } while (scanner.consume(","));
    scanner.expect("}");
  }
  const isEnd = end === null ? false : booleanOf(bytes, end);
  let problem: string | null = null;
  if (unrecognized.length > 0) {
    const free = keys.filter((key) => key === "end" ? !end : !Object.hasOwn(fields, key));
    problem = unrecognized.map((name) => describeKey(name, free)).join("; ");
  } else if (repeated !== null) problem = `${repeated}: expected once`;
  else if (isEnd === null) problem = "end: expected true or false";
  return { fields, payload, end: isEnd === true, problem };
}

/** Describes an unrecognized key, and the one that was meant, if the event does not have it. */
function describeKey(name: string, free: readonly string[]): string {
  const problem = `there is no key ${JSON.stringify(name.slice(0, MAX_KEY_CHARS))}`;
  // Unrecognized only where the keys do not include it.
  if (name === "pipeline") return `${problem}: the path names the pipeline`;
  const meant = OTHER_NAMES[name.toLowerCase().replaceAll("_", "")] ?? findNearest(name, LONG_KEYS);
  return meant && free.includes(meant) ? `${problem}, use "${meant}"` : problem;
}

/** Returns a boolean, or `null` for a value of another kind. */
function booleanOf(bytes: Uint8Array, { start }: ScannedValue): boolean | null {
  const first = String.fromCharCode(bytes[start]!);
  return first === "t" || first === "f" ? first === "t" : null;
}

/** Returns a string, or an empty value of the same kind as another value. */
function sampleOf(bytes: Uint8Array, value: ScannedValue): unknown {
  const first = String.fromCharCode(bytes[value.start]!);
  if (first === '"') return decodeString(bytes, value);
  if (first === "{") return {};
  if (first === "[") return [];
  if (first === "n") return null;
  return first === "t" || first === "f" ? false : 0;
}

/** Returns the string of a field in the envelope before, if it is the same. */
function reuse(
  before: unknown,
  name: string,
  bytes: Uint8Array,
  value: ScannedValue,
): string | undefined {
  const text = (before as Record<string, unknown> | null | undefined)?.[name];
  return typeof text === "string" && isText(bytes, value, text) ? text : undefined;
}

/**
 * Whether a string has a text: decoding is slower. It may be false for a text that
 * is escaped or not ASCII.
 */
function isText(bytes: Uint8Array, { start, end }: ScannedValue, text: string): boolean {
  if (end - start !== text.length + 2 || bytes[start] !== QUOTE) return false;
  for (let index = 0; index < text.length; index++) {
    const byte = bytes[start + 1 + index]!;
    if (byte !== text.charCodeAt(index) || byte > MAX_ASCII || byte === BACKSLASH) return false;
  }
  return true;
}

function decodeString(bytes: Uint8Array, { start, end }: ScannedValue): string {
  const text = bytes.subarray(start, end);
  return text.includes(BACKSLASH)
    ? JSON.parse(decoder.decode(text))
    : decoder.decode(text.subarray(1, -1));
}
