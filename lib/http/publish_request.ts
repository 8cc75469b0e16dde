/**
 * From the body of a publish to validated events.
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

/** What a request may have. */
export interface PublishLimits {
  /** How many events. */
  maxEvents: number;
  /** How many bytes of JSON a payload. */
  maxPayloadBytes: number;
}

const LIMITS: PublishLimits = { maxEvents: MAX_EVENTS, maxPayloadBytes: MAX_PAYLOAD_BYTES };

/** What a publisher asks for. */
export interface PublishRequest {
  /** Where to. */
  pipeline: string;
  /** The events, in order, one at least. */
  events: NewEvent[];
}

/** Numbers that a JavaScript number may not give back as they were written. */
const INEXACT_NUMBER = /\d[.eE]|\d{16}|-0/;

/** What TypeScript's library does not know of `JSON` yet: access to the source text. */
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
 * @param contentType The `Content-Type` header.
 * @param body The body.
 * @param limits What it may have.
 * @throws {RunnelError} `unsupported-media-type`, `malformed-request` if it is
 *   no JSON, `invalid-event` naming the event's index and field.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const body = '{"pipeline":"p_aBcDeF","channel":"events","payload":{"n":1.0}}';
 * const { events } = readPublishRequest("application/json", new TextEncoder().encode(body));
 * equal(new TextDecoder().decode(events[0]!.payload), '{"n":1.0}');
 * ```
 */
export function readPublishRequest(
  contentType: string | null,
  body: Uint8Array,
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
        `pipeline: expected ${pipeline}, as in the first event: one request is for one pipeline`,
      );
    }
    checkDepth(data.payload, index);
    return data;
  });
}

/**
 * Reads the body of `POST /ingest/:pipeline/:channel`, which is the payload:
 * JSON by its content type, else a text.
 *
 * @param channel The channel.
 * @param contentType The `Content-Type` header.
 * @param body The body.
 * @param limits What it may have.
 * @throws {RunnelError} `malformed-request` if it is no JSON or no UTF-8,
 *   `invalid-event` if the channel or the payload breaks a rule.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const body = new TextEncoder().encode("hello");
 * const event = readRawEvent("events", "text/plain", body);
 * equal(new TextDecoder().decode(event.payload), '"hello"');
 * ```
 */
export function readRawEvent(
  channel: string,
  contentType: string | null,
  body: Uint8Array,
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

/** A byte order mark is none of JSON, but part of a text. */
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

/** The same value, but with numbers that keep their text: only for values of a checked depth. */
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
