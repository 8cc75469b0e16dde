/**
 * The rules of an event, for all bodies that events come in.
 *
 * @module
 */

import type { z } from "zod";
import { RunnelError } from "../base/mod.ts";
import { MAX_PAYLOAD_DEPTH } from "../protocol/mod.ts";
import { type ScannedValue, textOf } from "./json_scanner.ts";

/** Limits of a payload. */
export interface PayloadLimits {
  /** Maximum size of a payload as JSON, in bytes. */
  maxPayloadBytes: number;
}

/** Place of an event in its body, for errors. */
export interface EventPlace {
  /** Index of the event, from 0 on. */
  index: number;
  /** Line of the body, from 1 on, for bodies that are read line by line. */
  line?: number;
}

const encoder = new TextEncoder();
// A text may begin with U+FEFF, which is no byte order mark there.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Parses the fields of an event, which may be no object.
 *
 * @throws {RunnelError} `invalid-event`, with all that is wrong.
 */
export function parseFields<T>(schema: z.ZodType<T>, fields: unknown, place: EventPlace): T {
  const { success, data, error } = schema.safeParse(fields, { reportInput: true });
  if (success) return data;
  throw invalidEvent(place, error.issues.map(describeIssue).join("; "));
}

function describeIssue({ path: [field], message, input }: z.core.$ZodIssue): string {
  if (field === undefined) return message;
  return input === undefined ? `${String(field)} is missing` : `${String(field)}: ${message}`;
}

/**
 * Returns a value in a text as a payload.
 *
 * @throws {RunnelError} `invalid-event` if it is too deep or too large.
 */
export function jsonPayload(
  text: Uint8Array,
  value: ScannedValue,
  place: EventPlace,
  limits: PayloadLimits,
): Uint8Array {
  if (value.depth > MAX_PAYLOAD_DEPTH) {
    throw invalidEvent(place, `payload: it is more than ${MAX_PAYLOAD_DEPTH} levels deep`);
  }
  checkSize(value.end - value.start - value.spaceBytes, place, limits);
  return textOf(text, value);
}

/**
 * Returns a text in UTF-8 as a payload: a JSON string.
 *
 * @throws {RunnelError} `invalid-event` if it is too large.
 */
export function textPayload(
  text: Uint8Array,
  place: EventPlace,
  limits: PayloadLimits,
): Uint8Array {
  const payload = encoder.encode(JSON.stringify(decoder.decode(text)));
  checkSize(payload.length, place, limits);
  return payload;
}

function checkSize(bytes: number, place: EventPlace, { maxPayloadBytes }: PayloadLimits): void {
  if (bytes <= maxPayloadBytes) return;
  throw invalidEvent(
    place,
    `payload: it has ${bytes} bytes of JSON, expected ${maxPayloadBytes} at most`,
  );
}

/** Creates the error of an event that breaks a rule. */
export function invalidEvent(place: EventPlace, problem: string): RunnelError {
  return new RunnelError("invalid-event", `Cannot publish: ${describePlace(place)}: ${problem}`);
}

/** Describes the place of an event, such as `event 3, line 5`. */
export function describePlace({ index, line }: EventPlace): string {
  return `event ${index}${line === undefined ? "" : `, line ${line}`}`;
}
