/**
 * The pace of the fan-out of one isolate. Each event that a subscriber gets costs a
 * write to its connection, and that write is most of what a delivery costs. Events
 * that are written together cost one. So events become visible to live subscribers
 * in *passes*: what is published during a pass is committed and answered at once, and
 * goes out together in the next one.
 *
 * 1. A pass begins one turn of the event loop after the commit, so that publishers
 *    are answered first. A pipeline has one pass at a time. Passes advance in slices of
 *    up to {@linkcode SLICE} subscribers and a millisecond, those of all pipelines by
 *    turns, so that publishes get in between, and a pipeline does not wait for the
 *    whole pass of another one.
 * 2. A pass is followed by a rest of {@linkcode REST_FACTOR} times what it took, at
 *    most {@linkcode MAX_REST_MS}, while the demand exceeds {@linkcode MAX_DEMAND}: if
 *    each event went out by itself, the writes would take more time than there is.
 *
 * So below that demand, an event waits for a turn and for the pass in progress, and
 * beyond it for up to 20 ms more, while each write carries more events.
 *
 * @module
 */

import type { Clock, Runtime } from "../base/mod.ts";
import type { Metrics } from "../telemetry/mod.ts";
import { WriteLoad } from "./write_load.ts";

/** Maximum number of subscribers that are woken in one turn of the event loop. */
export const SLICE = 100;

/**
 * Time that the writes of a slice should take, in milliseconds. Beside a saturated
 * pipeline, 99 % of the events of another one came within 11 ms, and within 22 ms when
 * all slices were of {@linkcode SLICE}, whatever a write cost.
 */
const SLICE_MS = 1;

/** Minimum number of subscribers that are woken in one turn, whatever a write costs. */
const MIN_SLICE = 10;

/** Rest after a pass, as a multiple of the time that it took. */
const REST_FACTOR = 2;

/** Maximum rest after a pass, in milliseconds. */
const MAX_REST_MS = 20;

/**
 * Demand beyond which passes are followed by a rest. With one publisher that waits for
 * each answer, slices alone hold the demand at two thirds, so a threshold below one
 * would not be told from a gentle load.
 */
const MAX_DEMAND = 1.2;

/** The subscribers of one pipeline, as a pass takes them. */
export interface Audience {
  /** Returns the number of subscribers. */
  size(): number;
  /** Shows the newest events from now on, and returns the subscribers. */
  reveal(): Iterator<{ wake(): void }>;
  /**
   * Called when all have been written to.
   *
   * @param ms Time since the oldest event was to be sent, in milliseconds.
   */
  written?(ms: number): void;
}

/** Parts of the runtime that a fan-out uses. */
export interface FanOutRuntime extends Pick<Runtime, "report"> {
  /** Clock for rests, and for turns of the event loop, which also measure the writes. */
  clock: Pick<Clock, "monotonic" | "after" | "nextTurn">;
}

/** Metrics of passes. */
export type FanOutMetrics = Pick<Metrics, "fanOutDelay">;

/** The passes of all pipelines of an isolate. */
export class FanOut implements Disposable {
  readonly #runtime: FanOutRuntime;
  readonly #metrics: FanOutMetrics;
  readonly #load: WriteLoad;
  /** Passes that wait for a slice, in the order of their turns. */
  readonly #queue = new Set<Passes>();
  /** The turn in which a slice is due or measured; `null` if none is. */
  #turn: Disposable | null = null;

  /** @param metrics Counts the time until an event was written to all subscribers. */
  constructor(runtime: FanOutRuntime, metrics: FanOutMetrics) {
    this.#runtime = runtime;
    this.#metrics = metrics;
    this.#load = new WriteLoad(runtime.clock);
  }

  /**
   * Returns the passes of a pipeline, none of which takes place once they are disposed of.
   *
   * @param metrics Counts them. By default, those of the isolate.
   */
  passesOf(audience: Audience, metrics: FanOutMetrics = this.#metrics): Passes {
    return new Passes(audience, {
      runtime: this.#runtime,
      load: this.#load,
      metrics,
      enqueue: (passes) => this.#enqueue(passes),
      dequeue: (passes) => this.#queue.delete(passes),
    });
  }

  #enqueue(passes: Passes): void {
    this.#queue.add(passes);
    this.#turn ??= this.#runtime.clock.nextTurn(() => this.#wakeSlice());
  }

  #wakeSlice(): void {
    const { clock } = this.#runtime;
    const started = clock.monotonic();
    const parts: SlicePart[] = [];
    const size = Math.max(MIN_SLICE, Math.min(SLICE, Math.floor(SLICE_MS / this.#load.costMs)));
    let room = size;
    for (const passes of this.#queue) {
      this.#queue.delete(passes);
      const { woken, isWhole } = passes.wake(room);
      parts.push({ passes, woken, isWhole });
      if (!isWhole) this.#queue.add(passes);
      room -= woken;
      if (room <= 0) break;
    }
    // The runtime writes after this turn: one turn later, it has written.
    this.#turn = clock.nextTurn(() => {
      this.#turn = clock.nextTurn(() => {
        this.#measure(parts, clock.monotonic() - started);
        if (this.#queue.size > 0) this.#wakeSlice();
        else this.#turn = null;
      });
    });
  }

  #measure(parts: readonly SlicePart[], ms: number): void {
    const writes = parts.reduce((sum, { woken }) => sum + woken, 0);
    this.#load.measured(writes, ms);
    for (const { passes, woken, isWhole } of parts) {
      passes.took(writes === 0 ? 0 : ms * woken / writes, isWhole);
    }
  }

  /** Ends all passes. */
  [Symbol.dispose](): void {
    this.#turn?.[Symbol.dispose]();
  }
}

/** The part of a slice that was of one pipeline. */
interface SlicePart {
  passes: Passes;
  /** Number of subscribers that were woken. */
  woken: number;
  /** Whether the pass has ended with it. */
  isWhole: boolean;
}

interface PassesOptions {
  runtime: FanOutRuntime;
  load: WriteLoad;
  metrics: FanOutMetrics;
  enqueue: (passes: Passes) => void;
  dequeue: (passes: Passes) => void;
}

/** The passes of one pipeline. */
export class Passes implements Disposable {
  readonly #audience: Audience;
  readonly #options: PassesOptions;
  /** Subscribers that are still to be woken in the pass in progress. */
  #rest: Iterator<{ wake(): void }> | null = null;
  /** Whether a pass is in progress, or one is due. */
  #isDue = false;
  /** Whether there is more to be seen than the pass in progress shows. */
  #isOutdated = false;
  /** Time of the oldest event that waits for the pass that is due or in progress … */
  #since = 0;
  /** … and for the one after it, in milliseconds of the monotonic clock. */
  #nextSince = 0;
  /** Time that the pass in progress has taken, in milliseconds. */
  #tookMs = 0;
  /** Time at which the rest after the last pass ends, in milliseconds of the monotonic clock. */
  #restsUntil = 0;
  #timer: Disposable | null = null;
  #disposed = false;

  constructor(audience: Audience, options: PassesOptions) {
    this.#audience = audience;
    this.#options = options;
  }

  /** Has the subscribers woken soon, because there are that many events more. */
  request(events: number): void {
    this.#options.load.demanded(events * this.#audience.size());
    if (!this.#isDue) return this.#schedule(this.#options.runtime.clock.monotonic());
    if (this.#rest === null || this.#isOutdated) return;
    this.#isOutdated = true;
    this.#nextSince = this.#options.runtime.clock.monotonic();
  }

  #schedule(since: number): void {
    if (this.#disposed) return;
    this.#since = since;
    const { runtime: { clock }, enqueue } = this.#options;
    this.#isDue = true;
    const ms = this.#restsUntil - clock.monotonic();
    if (ms <= 0) return enqueue(this);
    this.#timer = clock.after(ms, () => {
      this.#timer = null;
      enqueue(this);
    });
  }

  /** Wakes up to a number of subscribers in the pass, which begins if none is in progress. */
  wake(limit: number): { woken: number; isWhole: boolean } {
    this.#rest ??= this.#audience.reveal();
    for (let woken = 0; woken < limit; woken++) {
      const { done, value } = this.#rest.next();
      if (done) return { woken, isWhole: true };
      try {
        value.wake();
      } catch (error) {
        // Not a reason to leave out those that follow.
        this.#options.runtime.report("Cannot wake a subscriber", error);
      }
    }
    return { woken: limit, isWhole: false };
  }

  /** Counts the time of a slice, which may have ended the pass. */
  took(ms: number, isWhole: boolean): void {
    this.#tookMs += ms;
    if (!isWhole) return;
    const { runtime: { clock }, load, metrics } = this.#options;
    const now = clock.monotonic();
    if (this.#audience.size() > 0) {
      metrics.fanOutDelay.record((now - this.#since) / 1000);
      this.#audience.written?.(now - this.#since);
    }
    const isExcessive = load.demand > MAX_DEMAND;
    const restMs = isExcessive ? Math.min(REST_FACTOR * this.#tookMs, MAX_REST_MS) : 0;
    this.#restsUntil = now + restMs;
    this.#tookMs = 0;
    this.#rest = null;
    this.#isDue = false;
    if (!this.#isOutdated) return;
    this.#isOutdated = false;
    this.#schedule(this.#nextSince);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#options.dequeue(this);
  }
}
