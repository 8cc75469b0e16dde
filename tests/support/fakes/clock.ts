/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */

import { type Clock, systemClock } from "../../../lib/base/clock.ts";

interface Timer {
  at: number;
  run: () => void;
  every: number | null;
}

/** A clock for tests. */
export class FakeClock implements Clock {
  /** Wall clock minus monotonic clock. */
  #offset: number;
  #monotonic = 0;
  readonly #timers = new Set<Timer>();
  #heldTurns: Set<() => void> | null = null;

  /** @param now Start time, in milliseconds since the Unix epoch. */
  constructor(now: number = Date.UTC(2026, 0, 1)) {
    this.#offset = now;
  }

  /** Number of pending timers. */
  get liveTimers(): number {
    return this.#timers.size;
  }

  /** Time until the next timer is due, in milliseconds; infinite if there is none. */
  get untilNext(): number {
    return Math.min(...[...this.#timers].map(({ at }) => Math.max(0, at - this.#monotonic)));
  }

  now(): number {
    return this.#offset + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, run: () => void): Disposable {
    return this.#add({ at: this.#monotonic + ms, run, every: null });
  }

  every(ms: number, run: () => void): Disposable {
    return this.#add({ at: this.#monotonic + ms, run, every: ms });
  }

  /** Turns are no part of the time that stands still: work goes on, unless they are held. */
  nextTurn(run: () => void): Disposable {
    const held = this.#heldTurns;
    if (!held) return systemClock.nextTurn(run);
    held.add(run);
    return { [Symbol.dispose]: () => held.delete(run) };
  }

  /** Holds all further turns until {@linkcode FakeClock.turn} is called. */
  holdTurns(): void {
    this.#heldTurns = new Set();
  }

  /** Runs what waits for the next turn, and returns its number. */
  turn(): number {
    const due = [...this.#heldTurns!];
    this.#heldTurns!.clear();
    for (const run of due) run();
    return due.length;
  }

  #add(timer: Timer): Disposable {
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  }

  /** Advances the clock, and runs the timers that become due, in order. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    while (true) {
      const due = [...this.#timers].filter((timer) => timer.at <= end)
        .sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#monotonic = Math.max(this.#monotonic, due.at);
      if (due.every === null) this.#timers.delete(due);
      else due.at += due.every;
      due.run();
    }
    this.#monotonic = end;
  }

  /**
   * Advances the clock to the next timer, at most by `ms`, and returns by how much:
   * what the timer starts can then end before its own deadline.
   */
  advanceToNext(ms: number): number {
    const next = Math.max(0, Math.min(ms, this.untilNext));
    this.advance(next);
    return next;
  }

  /** Lets time pass without running timers, as on a machine that is late. */
  pass(ms: number): void {
    this.#monotonic += ms;
  }

  /** Sets the wall clock, as the clock of a machine may be set. No time passes. */
  set(now: number): void {
    this.#offset = now - this.#monotonic;
  }
}
