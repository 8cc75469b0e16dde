/**
 * Events and their IDs.
 *
 * @module
 */

/** Maximum number of channels that one subscriber may name. */
export const MAX_CHANNELS = 20;

/** A validated event that is to be published. */
export interface NewEvent {
  /** Channel: the event type on the wire. */
  channel: string;
  /** Payload: one line of JSON text in UTF-8, never a parsed value. */
  payload: Uint8Array;
}

/** An event that was committed. */
export interface AcceptedEvent extends NewEvent {
  /** Place in the pipeline's order: 1 for the first event. */
  sequence: number;
  /** Time of its commit, in milliseconds since the Unix epoch. */
  time: number;
}

/** A position in a pipeline's order. */
export interface Position {
  /** Identity of this log of the pipeline among any others: 64 random bits, base64url. */
  epoch: string;
  /** Sequence of the event at this position; 0 is before the first. */
  sequence: number;
}

/** Returns the event ID of a position. */
export function formatEventId({ epoch, sequence }: Position): string {
  return `${epoch}-${sequence}`;
}

/** Returns the position that an event ID names, or `null` if the text is not an event ID. */
export function parseEventId(text: string): Position | null {
  const match = /^([A-Za-z0-9_-]{11})-(0|[1-9][0-9]{0,14})$/.exec(text);
  return match && { epoch: match[1]!, sequence: Number(match[2]) };
}
