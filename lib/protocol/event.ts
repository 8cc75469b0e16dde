/**
 * Events and their IDs.
 *
 * @module
 */

/** The most channels that one subscriber may name. */
export const MAX_CHANNELS = 20;

/** An event that was validated and waits to be accepted. */
export interface NewEvent {
  /** The channel: the event type on the wire. */
  channel: string;
  /** The payload: one line of JSON text in UTF-8, never a parsed value. */
  payload: Uint8Array;
}

/** An event that was accepted. */
export interface AcceptedEvent extends NewEvent {
  /** Its place in the pipeline's order: 1 for the first. */
  sequence: number;
  /** When it was accepted, in milliseconds since the Unix epoch. */
  time: number;
}

/** A place in a pipeline's order. */
export interface Position {
  /** What tells this log of the pipeline from any other: 64 random bits, base64url. */
  epoch: string;
  /** The sequence of the event at this place; 0 stands before the first. */
  sequence: number;
}

/**
 * The event ID of a position.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(formatEventId({ epoch: "AAECAwQFBgc", sequence: 7 }), "AAECAwQFBgc-7");
 * ```
 */
export function formatEventId({ epoch, sequence }: Position): string {
  return `${epoch}-${sequence}`;
}

/**
 * The position that an event ID names, or `null` if the text is no event ID.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
 *
 * deepEqual(parseEventId("AAECAwQFBgc-7"), { epoch: "AAECAwQFBgc", sequence: 7 });
 * equal(parseEventId("7"), null);
 * ```
 */
export function parseEventId(text: string): Position | null {
  const match = /^([A-Za-z0-9_-]{11})-(0|[1-9][0-9]{0,14})$/.exec(text);
  return match && { epoch: match[1]!, sequence: Number(match[2]) };
}
