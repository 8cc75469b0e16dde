/**
 * An event as it was when a workflow sent it.
 *
 * @module
 */

import {
  isDeeperThan,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
  validateChannel,
} from "../protocol/event_rules.ts";

/** What a workflow sends. */
export interface SseEvent {
  /** The channel: the event type that an `EventSource` listens for. */
  channel: string;
  /** Any JSON value. */
  payload: unknown;
}

/** An event that no later change of its payload can touch. */
export interface SerializedEvent {
  /** The channel. */
  channel: string;
  /** The payload, as JSON text. */
  payload: string;
}

/**
 * Captures an event, or refuses it while its author can still see where it came
 * from.
 *
 * @param event What `$.send.sse()` was called with.
 * @throws {TypeError} If the channel or the payload is missing, or is none.
 * @throws {RangeError} If the payload is larger or deeper than the service takes.
 *
 * @example
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
  const { channel } = event;
  if (typeof channel !== "string") {
    throw new TypeError(`Cannot send: channel: expected a string, got ${kindOf(channel)}`);
  }
  const problem = validateChannel(channel);
  if (problem) throw new TypeError(`Cannot send: channel ${JSON.stringify(channel)}: ${problem}`);
  return { channel, payload: toJson(event.payload) };
}

function toJson(payload: unknown): string {
  let text;
  try {
    text = JSON.stringify(payload);
  } catch (cause) {
    if (isOverflow(cause)) throw tooDeep({ cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(
      `Cannot send: payload: expected a value that JSON can hold: ${reason}`,
      { cause },
    );
  }
  // A function, for one, has no JSON and no error either.
  if (text === undefined) {
    throw new TypeError(
      `Cannot send: payload: expected a value that JSON can hold, got ${kindOf(payload)}`,
    );
  }
  const size = new TextEncoder().encode(text).length;
  if (size > MAX_PAYLOAD_BYTES) {
    throw new RangeError(
      `Cannot send: payload: it has ${size} bytes of JSON, expected ${MAX_PAYLOAD_BYTES} at most`,
    );
  }
  if (isDeeperThan(MAX_PAYLOAD_DEPTH, JSON.parse(text))) throw tooDeep();
  return text;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : `a value of type ${typeof value}`;
}

/** Whether the stack was too small for a payload: each engine says so in words of its own. */
function isOverflow(error: unknown): boolean {
  return error instanceof Error && /call stack|recursion/i.test(error.message);
}

function tooDeep(options?: ErrorOptions): RangeError {
  return new RangeError(
    `Cannot send: payload: it is more than ${MAX_PAYLOAD_DEPTH} levels deep`,
    options,
  );
}
