/**
 * The end of a run: the last entry of a pipeline's log, which takes a sequence of its
 * own, so that a reader that lacks it notices.
 *
 * @module
 */

import type { NewEvent } from "./event.ts";

/** Channel of the entry. Publishers cannot use it. */
export const END_CHANNEL = "runnel.end";

/** The end of a run. */
export interface RunEnd {
  /** Sequence of its entry. */
  sequence: number;
  /** Number of events that the run had, those that are no longer retained included. */
  events: number;
}

/** Returns the entry of a run that ends after a number of events. */
export function endEntry(events: number): NewEvent {
  return { channel: END_CHANNEL, payload: new TextEncoder().encode(JSON.stringify({ events })) };
}

/** Returns the end of which an event is the entry, or `null` if it is none. */
export function readEnd(
  { channel, payload, sequence }: NewEvent & { sequence: number },
): RunEnd | null {
  if (channel !== END_CHANNEL) return null;
  const { events } = JSON.parse(new TextDecoder().decode(payload)) as { events: number };
  return { sequence, events };
}
