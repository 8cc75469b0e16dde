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
 * 2. A pass is followed by a rest of twice what it took, at most 20 ms, while the demand
 *    is too high: if each event went out by itself, the writes would take more time than
 *    there is. `passes.ts` has the numbers, and `write_load.ts` the measure.
 *
 * So below that demand, an event waits for a turn and for the pass in progress, and
 * beyond it for up to 20 ms more, while each write carries more events.
 *
 * @module
 */

import { type Audience, type FanOutMetrics, type FanOutRuntime, Passes } from "./passes.ts";
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
