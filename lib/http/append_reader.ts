/**
 * The reader of a body whose events are published while it arrives.
 *
 * @module
 */

import { MAX_BODY_BYTES, type NewEvent } from "../protocol/mod.ts";
import { type EventPlace, invalidEvent } from "./event_checks.ts";

/**
 * Maximum size of an event in the body, in bytes: of its line, or of what is held of its
 * block. It is that of a publish, since spaces and escapes of a valid payload have no
 * limit of their own.
 */
const MAX_EVENT_BYTES = MAX_BODY_BYTES;

/** An event of an append. */
export interface AppendedEvent {
  /** The event. It retains no bytes of the body. */
  event: NewEvent;
  /** Whether it ends the run. */
  end: boolean;
}

/** Reader of one body. It must not be used after an error. */
export interface AppendReader {
  /**
   * Yields the events that a piece of the body completes, in order. All have to be taken
   * before the next piece, and the piece must not change until then.
   *
   * @throws {RunnelError} `invalid-event` at the first event that is invalid, after the
   *   events before it; it names the event and its line.
   */
  read(bytes: Uint8Array): Generator<AppendedEvent, void>;
  /**
   * Yields the event that the end of the body completes. To be called only if the body
   * has ended as its sender intended: a line that was cut off may look whole.
   *
   * @throws {RunnelError} As `read` does.
   */
  end(): Generator<AppendedEvent, void>;
  /** Number of bytes that are held because they are no whole event yet. */
  readonly heldBytes: number;
}

/**
 * Asserts that an event is not too large.
 *
 * @param bytes Size of the event so far, in bytes.
 * @throws {RunnelError} `invalid-event` if it is, before it is whole.
 */
export function assertEventSize(bytes: number, place: EventPlace): void {
  if (bytes <= MAX_EVENT_BYTES) return;
  throw invalidEvent(place, `it has more than ${MAX_EVENT_BYTES} bytes. Send smaller events`);
}
