/**
 * Events and their IDs.
 *
 * @module
 */

/** Maximum number of channels that one subscriber may request. */
export const MAX_CHANNELS = 20;

/** Maximum number of pipelines of one stream. */
export const MAX_PIPELINES = 10;

/** Separates the event IDs of several pipelines. No event ID has it, and no URL or header escapes it. */
const ID_SEPARATOR = ".";

/** Begins the event ID of a client that has to be told of a gap before its position counts. */
const GAP_PREFIX = "~";

/** A valid event that is not accepted yet. */
export interface NewEvent {
  /** Channel: the event type on the wire. */
  channel: string;
  /** Payload: one line of JSON text in UTF-8, never a parsed value. */
  payload: Uint8Array;
  /** Trace that it belongs to, as a `traceparent` of version 00; absent without one. */
  traceparent?: string;
}

/** An event that was committed. */
export interface AcceptedEvent extends NewEvent {
  /** Number of the event in the order of its pipeline, from 1 on. */
  sequence: number;
  /** Time at which the event was accepted, in milliseconds since the Unix epoch. */
  time: number;
}

/** A position in the order of a pipeline. */
export interface Position {
  /** Identifies the log of the pipeline: 64 random bits, base64url. */
  epoch: string;
  /** Sequence of the event at this position; 0 before the first event. */
  sequence: number;
}

/** Returns the event ID of a position, such as `AAECAwQFBgc-7`. */
export function formatEventId({ epoch, sequence }: Position): string {
  return `${epoch}-${sequence}`;
}

/** Returns the position of an event ID, or `null` if the text is not an event ID. */
export function parseEventId(text: string): Position | null {
  const match = /^([A-Za-z0-9_-]{11})-(0|[1-9][0-9]{0,14})$/.exec(text);
  return match && { epoch: match[1]!, sequence: Number(match[2]) };
}

/**
 * Returns the ID of an event on a stream of several pipelines: the event IDs of all of
 * them, in the order in which the client named them.
 */
export function joinEventIds(ids: readonly string[]): string {
  return ids.join(ID_SEPARATOR);
}

/** Returns the event IDs of several pipelines that a client sent as one, unchecked. */
export function splitEventIds(text: string): string[] {
  return text.split(ID_SEPARATOR);
}

/**
 * Returns the event ID of a client that has to be told of a gap in this log before all else:
 * on a stream of several pipelines, events of others may come before that.
 *
 * @param position Position at which its history begins. It counts for nothing but its epoch.
 */
export function formatGapId(position: Position): string {
  return GAP_PREFIX + formatEventId(position);
}

/**
 * Returns the position of one of the IDs that {@linkcode splitEventIds} returned, and whether
 * its client has to be told of a gap; `null` if it is not an event ID.
 */
export function parseJoinedId(text: string): { position: Position; hasGap: boolean } | null {
  const hasGap = text.startsWith(GAP_PREFIX);
  const position = parseEventId(hasGap ? text.slice(GAP_PREFIX.length) : text);
  return position && { position, hasGap };
}
