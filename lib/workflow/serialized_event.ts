/**
 * An event as JSON text, validated.
 *
 * @module
 */

import {
  isDeeperThan,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
  validateChannel,
} from "../protocol/event_rules.ts";

/**
 * Event that a workflow sends.
 *
 * @example A channel and a payload
 * ```ts
 * import type { SseEvent } from "@runnel/workflow";
 *
 * const event: SseEvent = { channel: "events", payload: { name: "Luke Skywalker" } };
 * ```
 */
export interface SseEvent {
  /**
   * Channel: the event type that an `EventSource` listens for. It has 1 to 128
   * UTF-16 code units and no control characters, does not start with `runnel.`,
   * and is neither `error` nor `open`.
   */
  channel: string;
  /** Payload: any JSON value, up to 60 KiB as JSON text and 512 levels deep. */
  payload: unknown;
}

/** Event whose payload is JSON text, so that no later change of the payload can reach it. */
export interface SerializedEvent {
  /** The channel. */
  channel: string;
  /** The payload, as JSON text. */
  payload: string;
}

/**
 * Serializes an event, or refuses it while its author can still see where it
 * comes from.
 *
 * @throws {TypeError} If the channel or the payload is missing or invalid.
 * @throws {RangeError} If the payload is larger or deeper than the service accepts.
 *
 * @example Later changes of a payload
 * ```ts
 * import { strictEqual as equal, throws } from "node:assert/strict";
 *
 * const payload = { name: "Luke" };
 * const event = serializeEvent({ channel: "names", payload });
 * payload.name = "Vader";
 * equal(event.payload, '{"name":"Luke"}');
 * throws(() => serializeEvent({ channel: "names" } as never), /payload is missing/);
 * ```
 */
export function serializeEvent(event: SseEvent): SerializedEvent {
  const missing = (["channel", "payload"] as const).filter((name) => event?.[name] === undefined);
  if (missing.length > 0) {
    throw new TypeError(
      `Cannot send: ${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing. ` +
        "Expected $.send.sse({ channel, payload })",
    );
  }
  assertChannel(event.channel);
  return { channel: event.channel, payload: toJson(event.payload) };
}

/**
 * Asserts that a channel is valid.
 *
 * @throws {TypeError} If it is not.
 */
export function assertChannel(channel: unknown): asserts channel is string {
  if (typeof channel !== "string") {
    throw new TypeError(`Cannot send: channel: expected a string, got ${describe(channel)}`);
  }
  const problem = validateChannel(channel);
  if (problem) throw new TypeError(`Cannot send: channel ${JSON.stringify(channel)}: ${problem}`);
}

/**
 * Serializes a payload.
 *
 * @throws {TypeError} If JSON cannot hold the value.
 * @throws {RangeError} As {@linkcode assertPayloadSize}.
 */
export function toJson(payload: unknown): string {
  let text;
  try {
    text = JSON.stringify(payload);
  } catch (cause) {
    if (isStackOverflow(cause)) throw tooDeep({ cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(
      `Cannot send: payload: expected a value that JSON can hold: ${reason}`,
      { cause },
    );
  }
  // A function, for example, has no JSON, and `JSON.stringify` does not throw either.
  if (text === undefined) {
    throw new TypeError(
      `Cannot send: payload: expected a value that JSON can hold, got ${describe(payload)}`,
    );
  }
  assertPayloadSize(text);
  return text;
}

/**
 * Asserts that a payload is within the limits.
 *
 * @param text The payload, as valid JSON text.
 * @throws {RangeError} If it is larger or deeper than the service accepts.
 */
export function assertPayloadSize(text: string): void {
  const size = new TextEncoder().encode(text).length;
  if (size > MAX_PAYLOAD_BYTES) {
    throw new RangeError(
      `Cannot send: payload: it has ${size} bytes of JSON, expected ${MAX_PAYLOAD_BYTES} at most`,
    );
  }
  if (isDeeperThan(MAX_PAYLOAD_DEPTH, JSON.parse(text))) throw tooDeep();
}

function describe(value: unknown): string {
  return value === null ? "null" : `a value of type ${typeof value}`;
}

/** Whether a payload was too deep for the stack. Each engine has its own message for that. */
function isStackOverflow(error: unknown): boolean {
  return error instanceof Error && /call stack|recursion/i.test(error.message);
}

function tooDeep(options?: ErrorOptions): RangeError {
  return new RangeError(
    `Cannot send: payload: it is more than ${MAX_PAYLOAD_DEPTH} levels deep`,
    options,
  );
}
