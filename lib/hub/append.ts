/**
 * A streaming append: stores events as they come, in one group after the other, and stops at
 * the first that fails. With two in flight the second could stand without the first.
 *
 * @module
 */

import { type AppendPart, type Receipt, type StandingAppend, superseded } from "../log/mod.ts";
import type { NewEvent, Position } from "../protocol/mod.ts";

/** Memory of the events that wait from which on no more are to be read, in bytes. */
const MAX_WAITING_BYTES = 64 * 1024;

/** Memory of an event that waits, beside its payload, in bytes. */
const EVENT_BYTES = 256;

/** A group of events to be stored. */
export interface AppendGroup {
  /** The events, at least one. */
  events: NewEvent[];
  /** Whether the run ends after them. */
  end: boolean;
  /** Place in the append that has an idempotency key; absent without one. */
  part?: AppendPart;
}

/** Options for {@linkcode Append}. */
export interface AppendOptions {
  /** Stores a group. */
  store: (group: AppendGroup) => Promise<Receipt>;
  /** Identifies this connection, if the append has an idempotency key. */
  owner: string | null;
  /** Part of the append that stands before; `null` if nothing does. */
  standing: StandingAppend | null;
  /** Number of events of the append before those that are added. */
  after: number;
  /** Its place among the appends that are open at once. */
  place: Disposable;
  /** Called once with the error that ends the append. */
  onFailure: (error: unknown) => void;
}

/** An append in progress. */
export class Append implements Disposable {
  readonly #options: AppendOptions;
  /** Number of events that are still to be passed over, because they stand. */
  #skip: number;
  #count: number;
  #last: Position | null;
  #end: number | undefined;
  #stored = 0;
  #waiting: NewEvent[] = [];
  #waitingBytes = 0;
  #ends = false;
  #running: Promise<void> | null = null;
  #failure: { error: unknown } | null = null;
  /** Settled when the group in flight is. */
  #settled = Promise.withResolvers<void>();

  /** Creates an append. Nothing is stored until an event is added. */
  constructor(options: AppendOptions) {
    const { standing, after } = options;
    this.#options = options;
    this.#count = Math.max(after, standing?.count ?? 0);
    this.#skip = this.#count - after;
    this.#last = standing?.last ?? null;
    this.#end = standing?.end;
  }

  /** Number of events of the append that stand, those before this connection included. */
  get count(): number {
    return this.#count;
  }

  /** Number of events that were stored through this connection. */
  get stored(): number {
    return this.#stored;
  }

  /** Position of the last event that stands; `null` if none is known. */
  get last(): Position | null {
    return this.#last;
  }

  /** Sequence of the entry with which it ended the run; `undefined` if it did not. */
  get end(): number | undefined {
    return this.#end;
  }

  /** Memory of the events that wait, in bytes. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether no more is to be read until {@linkcode Append.room} has settled. */
  get isFull(): boolean {
    return this.#waitingBytes >= MAX_WAITING_BYTES;
  }

  /**
   * Adds an event. It is stored with those that are added in the same turn, or that come
   * while a group is in flight.
   *
   * @param end Whether the run ends after it.
   */
  add(event: NewEvent, end: boolean): void {
    if (this.#failure) return;
    if (this.#skip > 0) {
      this.#skip--;
      return;
    }
    this.#waiting.push(event);
    this.#waitingBytes += memoryOf(event);
    this.#ends ||= end;
    this.#running ??= this.#run();
  }

  /** Resolves when more may wait, or the append has failed. */
  async room(): Promise<void> {
    while (this.isFull && this.#running) await this.#settled.promise;
  }

  /**
   * Resolves when all that was added is stored.
   *
   * @throws The error of the group that failed.
   */
  async finish(): Promise<void> {
    await this.#running;
    if (this.#failure) throw this.#failure.error;
  }

  /** Gives its place free. */
  [Symbol.dispose](): void {
    this.#options.place[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    // What is added in the same turn goes together.
    await undefined;
    try {
      while (this.#waiting.length > 0) {
        await this.#store(this.#take());
        this.#tellSettled();
      }
    } catch (error) {
      this.#failure = { error };
      this.#waiting = [];
      this.#waitingBytes = 0;
      this.#options.onFailure(error);
    } finally {
      this.#running = null;
      this.#tellSettled();
    }
  }

  /** Settles the promise of a group, and makes that of the next one, even if none follows now. */
  #tellSettled(): void {
    this.#settled.resolve();
    this.#settled = Promise.withResolvers();
  }

  #take(): AppendGroup {
    const events = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return { events, end: this.#ends };
  }

  /** Stores a group, without those of its events that another connection has stored meanwhile. */
  async #store({ events, end }: AppendGroup): Promise<void> {
    const { owner, store } = this.#options;
    while (events.length > 0) {
      const part = { owner: owner ?? "", before: this.#count, isFirst: this.#stored === 0 };
      const receipt = await store({ events, end, ...owner !== null && { part } });
      const { epoch, first, count, stands } = receipt;
      if (stands === undefined) {
        this.#stored += count;
        this.#count += count;
        this.#last = { epoch, sequence: first + count - 1 };
        this.#end = receipt.end;
        return;
      }
      events = this.#passOver(events, stands - this.#count);
      this.#count = stands;
      this.#last = { epoch, sequence: first };
      this.#end = receipt.end;
    }
  }

  /** Passes over a number of events, which another connection has stored, and returns the rest of a group. */
  #passOver(events: NewEvent[], more: number): NewEvent[] {
    if (more < 0) throw superseded();
    const dropped = this.#waiting.splice(0, Math.max(0, more - events.length));
    for (const event of dropped) this.#waitingBytes -= memoryOf(event);
    this.#skip = Math.max(0, more - events.length - dropped.length);
    return events.slice(more);
  }
}

function memoryOf({ channel, payload }: NewEvent): number {
  return EVENT_BYTES + 2 * channel.length + payload.length;
}
