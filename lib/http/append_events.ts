/**
 * Takes the events of a streaming append from its body, no faster than they are stored.
 *
 * @module
 */

import type { RateLimiter } from "../access/mod.ts";
import { type Clock, delay } from "../base/mod.ts";
import type { Append } from "../hub/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";
import type { AppendedEvent, AppendReader } from "./append_reader.ts";
import { orStopped } from "./append_stop.ts";

/** Memory that each append has for what arrives, in bytes. */
const FIRST_BYTES = 4 * 1024;

/** Step in which more is reserved, in bytes. */
const ROOM_STEP_BYTES = 16 * 1024;

/**
 * Bytes of a body that are read in one turn of the event loop: half a millisecond for line breaks,
 * the most expensive ones. A piece of the runtime has 32 times as many, and took 24 ms, in which no
 * other request was served. The answer to another request takes many turns: 17 to 32 ms beside such
 * a body, and with 8 KiB in a turn up to 53.
 */
const TURN_BYTES = 2 * 1024;

/** Options for {@linkcode takeEvents}. */
export interface TakeOptions {
  /** Reader of the body. */
  reader: AppendReader;
  /** Append to which the events are added. */
  append: Append;
  /** Checks an event, and completes it. */
  admit: (event: NewEvent, end: boolean) => void;
  /** Client by which the events are counted; `null` for one that is not counted. */
  writer: string | null;
  /** Limits the events of a second. One that is beyond the limit waits. */
  rate: RateLimiter;
  /** Clock for that. */
  clock: Clock;
  /** Reserves memory, in bytes: for the append, and then for more of it. Throws if there is none. */
  reserve: (bytes: number, isMore: boolean) => Disposable;
  /** Aborted when no more is to be taken, with the error as its reason. */
  stopped: AbortSignal;
}

/**
 * Takes the events of a body to its end.
 *
 * @throws What the reader and the pieces throw, and the reason for which it was stopped.
 *   The events before that were added.
 */
export async function takeEvents(
  pieces: AsyncIterable<Uint8Array>,
  options: TakeOptions,
): Promise<void> {
  const { reader, append, reserve } = options;
  using _first = reserve(FIRST_BYTES, false);
  let room: Disposable | null = null;
  let reserved = 0;
  /** Reserves what is held now, also after a large event has left. */
  const adjust = () => {
    const more = Math.max(0, reader.heldBytes + append.waitingBytes - FIRST_BYTES);
    const needed = Math.ceil(more / ROOM_STEP_BYTES) * ROOM_STEP_BYTES;
    if (needed === reserved) return;
    room?.[Symbol.dispose]();
    room = null;
    reserved = 0;
    if (needed > 0) room = reserve(needed, true);
    reserved = needed;
  };
  try {
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length; at += TURN_BYTES) {
        if (at > 0) await orStopped(nextTurn(options.clock), options.stopped);
        await addAll(reader.read(piece.subarray(at, at + TURN_BYTES)), options);
        adjust();
      }
    }
    await addAll(reader.end(), options);
  } finally {
    (room as Disposable | null)?.[Symbol.dispose]();
  }
}

async function addAll(
  events: Iterable<AppendedEvent>,
  { append, admit, writer, rate, clock, stopped }: TakeOptions,
): Promise<void> {
  for (const { event, end } of events) {
    admit(event, end);
    while (writer !== null && !rate.tryCount(writer)) {
      await orStopped(delay(clock, rate.msLeft), stopped);
    }
    append.add(event, end);
    if (append.isFull) await orStopped(append.room(), stopped);
    stopped.throwIfAborted();
  }
}

/** Resolves in the next turn of the event loop. */
function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.nextTurn(resolve));
}
