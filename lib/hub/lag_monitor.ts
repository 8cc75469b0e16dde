/**
 * Compares the tail of a pipeline with what is known of its log, and repairs it if it lags.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { EventLog } from "../log/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { HeadSource, ObservedHead } from "../sync/mod.ts";
import type { Tail } from "./tail.ts";

/** Grace period for a broadcast commit to arrive before it is read from the log, in milliseconds. */
const BROADCAST_GRACE_MS = 20;

/** Grace period for the watch of a store to reach the events of the tail, in milliseconds. */
const WATCH_GRACE_MS = 1000;

/** Grace period for a commit in flight in this isolate to deliver the events of a head, in milliseconds. */
const COMMIT_GRACE_MS = 100;

/** Options for {@linkcode LagMonitor}. */
export interface LagMonitorOptions {
  /** The log of the pipeline. */
  log: Pick<EventLog, "waitForCommit">;
  /** Clock used for grace periods. */
  runtime: Pick<Runtime, "clock">;
}

/** Monitor of the lag of one tail, by events that have to reach it and heads of its log. */
export class LagMonitor implements Disposable {
  readonly #pipeline: string;
  readonly #tail: Tail;
  readonly #options: LagMonitorOptions;
  /** The newest event that is known to be committed, while its broadcast may be on its way. */
  #expected: Position | null = null;
  #graceTimer: Disposable | null = null;
  /** The newest head that a watch observed, while it is behind the tail. */
  #observed: ObservedHead | null = null;
  #observedTimer: Disposable | null = null;
  #behind = 0;
  #closed = false;

  constructor(pipeline: string, tail: Tail, options: LagMonitorOptions) {
    this.#pipeline = pipeline;
    this.#tail = tail;
    this.#options = options;
  }

  /** Number of events that the tail was behind its log when that was last compared. */
  get behind(): number {
    return this.#behind;
  }

  /**
   * Ensures that a committed event reaches the tail, which does not have it yet: waits
   * briefly for its broadcast, then reads the log.
   */
  awaitBroadcast(position: Position): void {
    if (this.#closed) return;
    const { epoch, sequence } = this.#expected ?? {};
    if (sequence === undefined || epoch !== position.epoch || position.sequence > sequence) {
      this.#expected = position;
    }
    this.#graceTimer ??= this.#options.runtime.clock.after(BROADCAST_GRACE_MS, () => {
      this.#graceTimer = null;
      this.#inBackground(this.catchUpToExpected());
    });
  }

  /**
   * Reads the log if an awaited event has not arrived yet.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async catchUpToExpected(): Promise<void> {
    const expected = this.#expected;
    if (!expected) return;
    await this.#tail.catchUpTo(expected);
    if (this.#expected === expected) this.#expected = null;
  }

  /**
   * Compares the tail with a head of its log, and repairs it if it is behind.
   *
   * @param head The head as it was read; `null` if the log has none.
   * @param source Signal by which the head was learned.
   * @returns Whether a repair was necessary.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async reconcileWith(head: ObservedHead | null, source: HeadSource): Promise<boolean> {
    const tail = this.#tail;
    if (await this.#isRolledBack(head, source)) return true;
    if (tail.events) this.#behind = head ? Math.max(0, head.sequence - tail.events.last) : 0;
    if (this.#isBehind(head)) await this.#waitForOwnCommit();
    if (this.#isBehind(head)) await tail.repairing;
    if (!this.#isBehind(head)) {
      if (head) tail.clearBelow(head.epoch, head.cleared);
      return false;
    }
    if (this.#closed) return false;
    await tail.repair(source);
    return true;
  }

  /**
   * Whether the log was rolled back behind the tail, which was repaired then. A head
   * that was read or sent before the tail's last events came looks the same, so only
   * a strong read that begins now can tell. It is not made for each message: only
   * with the comparison once a minute, or if a watch stays behind.
   */
  async #isRolledBack(head: ObservedHead | null, source: HeadSource): Promise<boolean> {
    const { events } = this.#tail;
    this.#observed = null;
    if (!events || !head || head.epoch !== events.epoch || head.sequence >= events.last) {
      return false;
    }
    if (source === "watch") {
      this.#observed = head;
      this.#observedTimer ??= this.#options.runtime.clock.after(WATCH_GRACE_MS, () => {
        this.#observedTimer = null;
        if (this.#observed) this.#inBackground(this.#tail.repair());
      });
    }
    if (source !== "reconcile") return false;
    await this.#tail.repair();
    return this.#tail.events?.epoch !== events.epoch;
  }

  #isBehind(head: ObservedHead | null): boolean {
    const { events } = this.#tail;
    return head ? !this.#tail.has(head) : events !== null && events.last > 0;
  }

  /** Waits briefly for a commit in flight in this isolate, which delivers what it adds by itself. */
  async #waitForOwnCommit(): Promise<void> {
    const { log, runtime: { clock } } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = clock.after(COMMIT_GRACE_MS, resolve);
    // If the log does not answer, the repair that follows reports it.
    await Promise.race([promise, log.waitForCommit(this.#pipeline).catch(() => {})]);
  }

  #inBackground(repair: Promise<void>): void {
    repair.catch((error) => this.#tail.reportFailure(error));
  }

  /** Stops all timers. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#graceTimer?.[Symbol.dispose]();
    this.#graceTimer = null;
    this.#observedTimer?.[Symbol.dispose]();
    this.#observedTimer = null;
  }
}
