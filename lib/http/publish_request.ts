/**
 * Reads the body of a publish into validated events.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import {
  isDeeperThan,
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
  type NewEvent,
  validateChannel,
} from "../protocol/mod.ts";
import { eventSchema } from "./schemas.ts";

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

/** Matches numbers that a JavaScript number may not reproduce as they were written. */
const INEXACT_NUMBER = /\d[.eE]|\d{16}|-0/;

/** Parts of `JSON` that TypeScript's library lacks: access to the source text. */
const sourceJson = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
};

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
      "Cannot publish: expected Content-Type application/json or application/x-ndjson",
    );
  }
  const text = decode(body);
  if (text.trim() === "") {
    throw new RunnelError("malformed-request", "Cannot publish: the body is empty");
  }
  return type === "application/json" ? readJson(text, limits) : readNdjson(text, limits);
}

function readJson(text: string, limits: PublishLimits): PublishRequest {
  const value = parseJson(text, "The body");
  const values = Array.isArray(value) ? value : [value];
  const envelopes = validate(values, limits);
  const exact = withExactNumbers(text, value);
  const payloads = (Array.isArray(exact) ? exact : [exact]) as { payload: unknown }[];
  return {
    pipeline: envelopes[0]!.pipeline,
    events: envelopes.map(({ channel }, index) => ({
      channel,
      payload: encodePayload(payloads[index]!.payload, index, limits),
    })),
  };
}

function readNdjson(text: string, limits: PublishLimits): PublishRequest {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const values = lines.map((line, index) => parseJson(line, `Event ${index}`));
  const envelopes = validate(values, limits);
  return {
    pipeline: envelopes[0]!.pipeline,
    events: envelopes.map(({ channel }, index) => {
      const exact = withExactNumbers(lines[index]!, values[index]) as { payload: unknown };
      return { channel, payload: encodePayload(exact.payload, index, limits) };
    }),
  };
}

function validate(
  values: readonly unknown[],
  { maxEvents }: PublishLimits,
): { pipeline: string; channel: string }[] {
  if (values.length === 0 || values.length > maxEvents) {
    throw new RunnelError(
      "invalid-event",
      `Cannot publish: expected 1 to ${maxEvents} events, got ${values.length}`,
    );
  }
  let pipeline: string | undefined;
  return values.map((value, index) => {
    const { success, data, error } = eventSchema.safeParse(value);
    if (!success) {
      const { path, message } = error.issues[0]!;
      throw invalidEvent(index, path.length > 0 ? `${path.join(".")}: ${message}` : message);
    }
    pipeline ??= data.pipeline;
    if (data.pipeline !== pipeline) {
      throw invalidEvent(
        index,
        `pipeline: expected "${pipeline}", as in the first event. Send one request per pipeline`,
      );
    }
    checkDepth(data.payload, index);
    return data;
  });
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
    return { channel, payload: encodePayload(decode(body, { ignoreBOM: true }), 0, limits) };
  }
  const text = decode(body);
  const value = parseJson(text, "The body");
  checkDepth(value, 0);
  return { channel, payload: encodePayload(withExactNumbers(text, value), 0, limits) };
}

function mediaType(contentType: string | null): string {
  return (contentType ?? "").split(";")[0]!.trim().toLowerCase();
}

/** Decodes UTF-8. A byte order mark is not part of JSON, but part of a text. */
function decode(body: Uint8Array, options: { ignoreBOM?: boolean } = {}): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ...options }).decode(body);
  } catch (cause) {
    throw new RunnelError("malformed-request", "Cannot publish: the body is not UTF-8", { cause });
  }
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RunnelError("malformed-request", `Cannot publish: ${what} is not JSON`, { cause });
  }
}

/**
 * Returns the same value with numbers that keep their text. Only for values whose
 * depth was checked: the parser recurses.
 */
function withExactNumbers(text: string, value: unknown): unknown {
  if (!INEXACT_NUMBER.test(text)) return value;
  return sourceJson.parse(
    text,
    (_key, value, { source }) => typeof value === "number" ? sourceJson.rawJSON(source) : value,
  );
}

function checkDepth(payload: unknown, index: number): void {
  if (isDeeperThan(MAX_PAYLOAD_DEPTH, payload)) {
    throw invalidEvent(index, `payload: it is more than ${MAX_PAYLOAD_DEPTH} levels deep`);
  }
}

function encodePayload(
  payload: unknown,
  index: number,
  { maxPayloadBytes }: PublishLimits,
): Uint8Array {
  const bytes = encoder.encode(JSON.stringify(payload));
  if (bytes.length > maxPayloadBytes) {
    throw invalidEvent(
      index,
      `payload: it has ${bytes.length} bytes of JSON, expected ${maxPayloadBytes} at most`,
    );
  }
  return bytes;
}

function invalidEvent(index: number, problem: string): RunnelError {
  return new RunnelError("invalid-event", `Cannot publish: event ${index}: ${problem}`);
}
