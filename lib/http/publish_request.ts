/**
 * Reads the body of a publish into validated events.
 *
 * @module
 */

import type { z } from "zod";
import { RunnelError } from "../base/mod.ts";
import {
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
  type NewEvent,
  validateChannel,
  validatePipelineId,
} from "../protocol/mod.ts";
import type { Envelope } from "./envelope.ts";
import { type ScannedValue, textOf } from "./json_scanner.ts";
import { skipSpace } from "./json_tokens.ts";
import {
  assertUtf8,
  decodeUtf8,
  readJson,
  readNdjson,
  scanJson,
  withoutByteOrderMark,
} from "./publish_body.ts";
import { eventSchema } from "./schemas.ts";

/** Maximum length of a media type that an error names, in UTF-16 units. */
const MAX_TYPE_LENGTH = 60;

/** Limits of a publish. */
export interface PublishLimits {
  /** Maximum number of events in a request. */
  maxEvents: number;
  /** Maximum size of a payload as JSON, in bytes. */
  maxPayloadBytes: number;
}

const LIMITS: PublishLimits = { maxEvents: MAX_EVENTS, maxPayloadBytes: MAX_PAYLOAD_BYTES };

/** A request body and its media type. */
export interface PublishBody {
  /** The `Content-Type` header; `null` without one. */
  contentType: string | null;
  /** The bytes of the body. */
  body: Uint8Array;
}

/** Events to publish, and their pipeline. */
export interface PublishRequest {
  /** Pipeline ID. */
  pipeline: string;
  /** The events, in order, at least one. */
  events: NewEvent[];
}

const encoder = new TextEncoder();

/**
 * Reads the body of `POST /ingest`: one event, an array of events, or NDJSON.
 *
 * @throws {RunnelError} `unsupported-media-type`, `malformed-request` if the body
 *   is not JSON, `invalid-event` with the event's index and field.
 */
export function readPublishRequest(
  { contentType, body }: PublishBody,
  limits: PublishLimits = LIMITS,
): PublishRequest {
  const type = mediaType(contentType);
  if (type !== "application/json" && type !== "application/x-ndjson") {
    throw new RunnelError(
      "unsupported-media-type",
      "Cannot publish: expected Content-Type application/json or application/x-ndjson, got " +
        `${type === "" ? "none" : type.slice(0, MAX_TYPE_LENGTH)}. ` +
        "With curl, add -H 'Content-Type: application/json'",
    );
  }
  const text = withoutByteOrderMark(body);
  assertUtf8(text);
  if (skipSpace(text, 0) === text.length) {
    throw new RunnelError("malformed-request", "Cannot publish: the body is empty");
  }
  const { envelopes, count } = (type === "application/json" ? readJson : readNdjson)(
    text,
    limits.maxEvents,
    latest,
  );
  if (count === 0 || count > limits.maxEvents) {
    throw new RunnelError(
      "invalid-event",
      `Cannot publish: expected 1 to ${limits.maxEvents} events, got ${count}`,
    );
  }
  return validate(envelopes, text, limits);
}

function validate(
  envelopes: readonly Envelope[],
  text: Uint8Array,
  limits: PublishLimits,
): PublishRequest {
  let pipeline = "";
  let before = latest;
  const valid = envelopes.map(({ fields, payload, problem }, index) => {
    if (problem !== null) throw invalidEvent(index, problem);
    const names: EventNames = payload !== null && hasValidNames(fields, before)
      ? fields
      : parseNames(fields, index);
    pipeline ||= names.pipeline;
    if (names.pipeline !== pipeline) {
      throw invalidEvent(
        index,
        `pipeline: expected "${pipeline}", as in the first event. Send one request per pipeline`,
      );
    }
    before = names;
    return { channel: names.channel, payload: payload! };
  });
  latest = before;
  return {
    pipeline,
    events: valid.map(({ channel, payload }, index) => ({
      channel,
      payload: payloadOf(text, payload, index, limits),
    })),
  };
}

/** The fields of an event that are not its payload. */
interface EventNames {
  pipeline: string;
  channel: string;
}

/**
 * Names of the event that was read last: to compare the next one with them is faster than to
 * decode and validate its own.
 */
let latest: EventNames | null = null;

/**
 * Whether the names of an event are valid, by the rules that its schema has as well: the
 * schema takes 1 of 40 µs of a publish. Most are those of the event before.
 */
function hasValidNames(fields: unknown, before: EventNames | null): fields is EventNames {
  const { pipeline, channel } = fields as Partial<Record<keyof EventNames, unknown>>;
  if (before && pipeline === before.pipeline && channel === before.channel) return true;
  return typeof pipeline === "string" && validatePipelineId(pipeline) === null &&
    typeof channel === "string" && validateChannel(channel) === null;
}

/**
 * Parses the names of an event, which may be no object.
 *
 * @throws {RunnelError} `invalid-event`, with all that is wrong.
 */
function parseNames(fields: unknown, index: number): EventNames {
  const { success, data, error } = eventSchema.safeParse(fields, { reportInput: true });
  if (success) return data;
  throw invalidEvent(index, error.issues.map(describeIssue).join("; "));
}

/**
 * Reads the body of `POST /ingest/:pipeline/:channel`, which is the payload: JSON
 * if its media type says so, otherwise a text.
 *
 * @throws {RunnelError} `malformed-request` if the body is not JSON or not UTF-8,
 *   `invalid-event` if the channel or the payload breaks a rule.
 */
export function readRawEvent(
  { channel, contentType, body }: PublishBody & { channel: string },
  limits: PublishLimits = LIMITS,
): NewEvent {
  const problem = validateChannel(channel);
  if (problem) throw invalidEvent(0, `channel: ${problem}`);
  if (!/^application\/(json|.*\+json)$/.test(mediaType(contentType))) {
    const payload = encoder.encode(JSON.stringify(decodeUtf8(body)));
    checkSize(payload.length, 0, limits);
    return { channel, payload };
  }
  const text = withoutByteOrderMark(body);
  assertUtf8(text);
  const value = scanJson(text, "The body", (scanner) => scanner.value());
  return { channel, payload: payloadOf(text, value, 0, limits) };
}

function describeIssue({ path: [field], message, input }: z.core.$ZodIssue): string {
  if (field === undefined) return message;
  return input === undefined ? `${String(field)} is missing` : `${String(field)}: ${message}`;
}

function mediaType(contentType: string | null): string {
  return (contentType ?? "").split(";")[0]!.trim().toLowerCase();
}

function payloadOf(
  text: Uint8Array,
  value: ScannedValue,
  index: number,
  limits: PublishLimits,
): Uint8Array {
  if (value.depth > MAX_PAYLOAD_DEPTH) {
    throw invalidEvent(index, `payload: it is more than ${MAX_PAYLOAD_DEPTH} levels deep`);
  }
  checkSize(value.end - value.start - value.spaceBytes, index, limits);
  return textOf(text, value);
}

function checkSize(bytes: number, index: number, { maxPayloadBytes }: PublishLimits): void {
  if (bytes <= maxPayloadBytes) return;
  throw invalidEvent(
    index,
    `payload: it has ${bytes} bytes of JSON, expected ${maxPayloadBytes} at most`,
  );
}

function invalidEvent(index: number, problem: string): RunnelError {
  return new RunnelError("invalid-event", `Cannot publish: event ${index}: ${problem}`);
}
