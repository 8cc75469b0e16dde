/**
 * The record of a shared stream.
 *
 * @module
 */

import { lengthOf, type SharedEvent } from "./shared_messages.ts";
import type { Positions } from "./shared_positions.ts";

/** Maximum number of recorded events. */
const MAX_COUNT = 1_000;

/** Maximum length of the recorded events, in UTF-16 code units. */
const MAX_LENGTH = 1024 * 1024;

/** All events of a stream since some positions. Beyond a size, it begins again. */
export class SharedRecord {
  #since: Positions;
  #events: SharedEvent[] = [];
  #length = 0;

  constructor(since: ReadonlyMap<string, string>) {
    this.#since = new Map(since);
  }

  /** Positions after which it has all events. */
  get since(): Positions {
    return this.#since;
  }

  /** The events, in order. */
  get events(): readonly SharedEvent[] {
    return this.#events;
  }

  /**
   * Adds the next event.
   *
   * @param positions Positions with the event, at which it begins again if it is full.
   */
  add(event: SharedEvent, positions: ReadonlyMap<string, string>): void {
    this.#events.push(event);
    this.#length += lengthOf(event);
    if (this.#events.length > MAX_COUNT || this.#length > MAX_LENGTH) this.restart(positions);
  }

  /** Forgets its events, and begins again after these positions. */
  restart(since: ReadonlyMap<string, string>): void {
    this.#since = new Map(since);
    this.#events = [];
    this.#length = 0;
  }
}
