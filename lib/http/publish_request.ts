/**
 * Reads the body of a publish into validated events.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import {
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  type NewEvent,
  validateChannel,
  validatePipelineId,
  withoutByteOrderMark,
} from "../protocol/mod.ts";
import type { Envelope } from "./envelope.ts";
import {
  type EventPlace,
  invalidEvent,
  jsonPayload,
  parseFields,
  type PayloadLimits,
  textPayload,
} from "./event_checks.ts";
import { skipSpace } from "./json_tokens.ts";
import { mediaTypeOf, quoteMediaType } from "./media_type.ts";
import { assertUtf8, readJson, readNdjson, scanJson } from "./publish_body.ts";
import { eventSchema } from "./schemas.ts";

/** Limits of a publish. */
export interface PublishLimits extends PayloadLimits {
  /** Maximum number of events in a request. */
  maxEvents: number;
}

const LIMITS: PublishLimits = { maxEvents: MAX_EVENTS, maxPayloadBytes: MAX_PAYLOAD_BYTES };

/** Place of the event that is the whole body. */
const RAW_EVENT: EventPlace = { index: 0 };

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
  /** Whether the last event ends the run. */
  end: boolean;
}

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
  const type = mediaTypeOf(contentType);
  if (type !== "application/json" && type !== "application/x-ndjson") {
    throw new RunnelError(
      "unsupported-media-type",
      "Cannot publish: expected Content-Type application/json or application/x-ndjson, got " +
        `${quoteMediaType(type)}. With curl, add -H 'Content-Type: application/json'`,
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
  const last = envelopes.length - 1;
  const valid = envelopes.map(({ fields, payload, end, problem }, index) => {
    if (problem !== null) throw invalidEvent({ index }, problem);
    if (end && index < last) {
      throw invalidEvent({ index }, "end: expected on the last event, which ends the run");
    }
    const names: EventNames = payload !== null && hasValidNames(fields, before)
      ? fields
      : parseFields(eventSchema, fields, { index });
    pipeline ||= names.pipeline;
    if (names.pipeline !== pipeline) {
      throw invalidEvent(
        { index },
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
      payload: jsonPayload(text, payload, { index }, limits),
    })),
    end: envelopes[last]!.end,
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
  if (problem) throw invalidEvent(RAW_EVENT, `channel: ${problem}`);
  if (!/^application\/(json|.*\+json)$/.test(mediaTypeOf(contentType))) {
    assertUtf8(body);
    return { channel, payload: textPayload(body, RAW_EVENT, limits) };
  }
  const text = withoutByteOrderMark(body);
  assertUtf8(text);
  const value = scanJson(text, "The body", (scanner) => scanner.value());
  return { channel, payload: jsonPayload(text, value, RAW_EVENT, limits) };
}
