/**
 * The newest events of one pipeline in memory. They stay contiguous whatever
 * arrives in whatever order: missing events are read from the log.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import {
  type Commit,
  type EventLog,
  type Head,
  readSegmentHeader,
  unpackSegment,
} from "../log/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { EncodedEvents } from "../stream/mod.ts";
import type { HeadSource, ObservedHead } from "../sync/mod.ts";
import { ReorderBuffer } from "./reorder_buffer.ts";
import { readToHead, type TailReaderOptions } from "./tail_reader.ts";

/** Pause before a failed repair is repeated, in milliseconds. */
const REPAIR_PAUSE_MS = 1000;

/** Grace period for a broadcast commit to arrive before it is read from the log, in milliseconds. */
const BROADCAST_GRACE_MS = 20;

/** Grace period for the watch of a store to reach the events of the tail, in milliseconds. */
const WATCH_GRACE_MS = 1000;

/** Grace period for a commit in flight in this isolate to deliver the events of a head, in milliseconds. */
const COMMIT_GRACE_MS = 100;

/** Options for {@linkcode Tail}. */
export interface TailOptions extends TailReaderOptions {
  /** The log that is read. */
  log: Pick<EventLog, "ensureHead" | "renewEpoch" | "waitForCommit">;
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Called when the events have changed. */
  onChange: () => void;
  /** Called before events are dropped that are not in the log either, or no longer. */
  beforeLoss: () => void;
  /** Called with the number of bytes by which the tail grew. */
  onGrowth: (bytes: number) => void;
}

/** Signal that caused a repair. */
export type RepairCause = "gap" | HeadSource;

/**
 * The newest events of a pipeline.
 *
 * Every signal of an event that the tail lacks ends in one of two ways: the event
 * is appended, or the log is read after the signal. A repair in progress may have
 * read the head before the event was committed, so it never answers a signal that
 * came after it began; a repair that fails is repeated until one succeeds.
 */
export class Tail implements Disposable {
  readonly #pipeline: string;
  readonly #options: TailOptions;
  #events: EncodedEvents | null = null;
  /** Commits that arrived during the repair in progress. */
  readonly #reorderBuffer = new ReorderBuffer();
  /** The repair in progress. */
  #repairing: Promise<void> | null = null;
  /** The repair that begins when the one in progress has ended. */
  #followUp: Promise<void> | null = null;
  #retryTimer: Disposable | null = null;
  /** The newest event that is known to be committed, while its broadcast may be on its way. */
  #expected: Position | null = null;
  #graceTimer: Disposable | null = null;
  /** The newest head that a watch observed, while it is behind the tail. */
  #observed: ObservedHead | null = null;
  #observedTimer: Disposable | null = null;
  /** The last clear: events below it may still arrive, late or from a read that began before it. */
  #cleared: { epoch: string; oldest: number } | null = null;
  #closed = false;
  /** Number of events that the tail was behind its log when that was last compared. */
  behind = 0;
  /** Number of repairs, by the signal that caused them. */
  readonly repairs: Record<RepairCause, number> = {
    gap: 0,
    announcement: 0,
    watch: 0,
    reconcile: 0,
  };

  constructor(pipeline: string, options: TailOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
  }

  /** The events; `null` until the first repair. Another object if the log was replaced. */
  get events(): EncodedEvents | null {
    return this.#events;
  }

  /** Memory of the events, in bytes. */
  get bytes(): number {
    return this.#events?.bytes ?? 0;
  }

  /** Whether the tail contains the event at a position, or contained it before it was trimmed. */
  has({ epoch, sequence }: Position): boolean {
    return this.#events?.epoch === epoch && sequence <= this.#events.last;
  }

  /**
   * Takes a commit of this isolate or another: appends its events if they follow,
   * drops them if they are duplicates, and reads the log if events before them
   * are missing.
   */
  receive(commit: Commit): void {
    if (this.#repairing) return this.#reorderBuffer.add(commit);
    if (this.#append(commit)) return this.#options.onChange();
    this.#countRepair("gap");
    this.#repairInBackground();
  }

  /** Appends what a commit has beyond the tail, or returns false if the log has to be read for it. */
  #append({ epoch, cleared, segments }: Commit): boolean {
    const events = this.#events;
    if (epoch !== events?.epoch) return false;
    const before = events.bytes;
    for (const segment of segments) {
      const { first, last } = readSegmentHeader(segment);
      if (last <= events.last) continue;
      // Events before it are missing, or a page of the log ended in the middle of it.
      if (first !== events.last + 1) return false;
      events.append(unpackSegment(segment));
    }
    this.#options.onGrowth(events.bytes - before);
    events.trim(this.#options.limits);
    // The message about a clear may be lost, and a clear may be applied past its deadline.
    this.clearBelow(epoch, cleared);
    this.#dropCleared();
    return true;
  }

  /**
   * Ensures that a committed event reaches the tail: waits briefly for its
   * broadcast, then reads the log.
   */
  awaitBroadcast(position: Position): void {
    if (this.has(position) || this.#closed) return;
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
    await this.catchUpTo(expected);
    if (this.#expected === expected) this.#expected = null;
  }

  /**
   * Reads the log up to an event, unless the tail has it.
   *
   * @returns Whether the tail has it then; if not, the log does not have it.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async catchUpTo(position: Position): Promise<boolean> {
    // The repair in progress may bring it, and its failure is reported by its own caller.
    if (!this.has(position)) await this.#repairing?.catch(() => {});
    if (!this.has(position)) await this.repair();
    return this.has(position);
  }

  /**
   * Compares the tail with a head of its log, and repairs it if it is behind.
   *
   * @param head The head as it was read; `null` if the log has none.
   * @param cause Signal by which the head was learned.
   * @returns Whether a repair was necessary.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async reconcileWith(head: ObservedHead | null, cause: RepairCause): Promise<boolean> {
    if (await this.#isRolledBack(head, cause)) return true;
    if (this.#events) this.behind = head ? Math.max(0, head.sequence - this.#events.last) : 0;
    if (this.#isBehind(head)) await this.#waitForOwnCommit();
    if (this.#isBehind(head)) await this.#repairing?.catch(() => {});
    if (!this.#isBehind(head)) {
      if (head) this.clearBelow(head.epoch, head.cleared);
      return false;
    }
    if (this.#closed) return false;
    this.#countRepair(cause);
    await this.repair();
    return true;
  }

  #countRepair(cause: RepairCause): void {
    this.repairs[cause]++;
    this.#options.runtime.report("A tail is behind its log and is repaired", undefined, {
      level: "debug",
      fields: { pipeline: this.#pipeline, cause },
    });
  }

  /**
   * Whether the log was rolled back behind the tail, which was repaired then. A head
   * that was read or sent before the tail's last events came looks the same, so only
   * a strong read that begins now can tell. It is not made for each message: only
   * with the comparison once a minute, or if a watch stays behind.
   */
  async #isRolledBack(head: ObservedHead | null, cause: RepairCause): Promise<boolean> {
    const events = this.#events;
    this.#observed = null;
    if (!events || !head || head.epoch !== events.epoch || head.sequence >= events.last) {
      return false;
    }
    if (cause === "watch") {
      this.#observed = head;
      this.#observedTimer ??= this.#options.runtime.clock.after(WATCH_GRACE_MS, () => {
        this.#observedTimer = null;
        if (this.#observed) this.#inBackground(this.repair());
      });
    }
    if (cause !== "reconcile") return false;
    await this.repair();
    return this.#events?.epoch !== events.epoch;
  }

  #isBehind(head: ObservedHead | null): boolean {
    return head ? !this.has(head) : this.#events !== null && this.#events.last > 0;
  }

  /** Waits briefly for a commit in flight in this isolate, which delivers what it adds by itself. */
  async #waitForOwnCommit(): Promise<void> {
    const { log, runtime: { clock } } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = clock.after(COMMIT_GRACE_MS, resolve);
    // If the log does not answer, the repair that follows reports it.
    await Promise.race([promise, log.waitForCommit(this.#pipeline).catch(() => {})]);
  }

  /**
   * Joins the repair in progress, or starts one.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  load(): Promise<void> {
    return this.#repairing ??= this.#repairNow();
  }

  /**
   * Reads the log up to its head, by a strong read that begins after this call.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  repair(): Promise<void> {
    if (!this.#repairing) return this.load();
    return this.#followUp ??= this.#repairing.catch(() => {}).then(() => {
      this.#followUp = null;
      return this.load();
    });
  }

  async #repairNow(): Promise<void> {
    let isLevel = false;
    try {
      const head = await this.#readToHead();
      isLevel = this.#reorderBuffer.release(head.epoch, (commit) => this.#append(commit)) &&
        this.has(head);
    } catch (error) {
      // The next repair reads them from the log.
      this.#reorderBuffer.clear();
      this.#retryLater();
      throw error;
    } finally {
      // In the same turn as the release of the reorder buffer: the next one
      // is appended at once.
      this.#repairing = null;
    }
    this.#retryTimer?.[Symbol.dispose]();
    this.#retryTimer = null;
    // Broadcasts were lost, or the log was replaced, while it was read.
    if (!isLevel) this.#repairInBackground();
    this.#options.onChange();
  }

  /** Reads what the log has beyond the tail, and returns the head that it read up to. */
  async #readToHead(): Promise<Head> {
    const { bytes } = this;
    // No event is appended during a repair.
    const { head, events } = await readToHead(this.#pipeline, this.#events, this.#options);
    if (this.#events && events !== this.#events) this.#options.beforeLoss();
    this.#events = events;
    this.clearBelow(head.epoch, head.cleared);
    this.#dropCleared();
    this.#options.onGrowth(Math.max(0, events.bytes - bytes));
    return head;
  }

  /** Starts a repair that no caller waits for. */
  #repairInBackground(): void {
    // A repair that is going to be repeated reads the head then.
    if (this.#retryTimer || this.#closed) return;
    this.#inBackground(this.repair());
  }

  #inBackground(repair: Promise<void>): void {
    repair.catch((error) => {
      this.#options.runtime.report("Cannot repair the tail of a pipeline", error, {
        fields: { pipeline: this.#pipeline },
      });
    });
  }

  /** Repeats a failed repair: there may be no other signal of what it was to read. */
  #retryLater(): void {
    if (this.#closed) return;
    this.#retryTimer ??= this.#options.runtime.clock.after(REPAIR_PAUSE_MS, () => {
      this.#retryTimer = null;
      this.#repairInBackground();
    });
  }

  /** Drops the events below a sequence, which were cleared from the log of an epoch. */
  clearBelow(epoch: string, oldest: number): void {
    // The log may have been replaced before it was cleared.
    if (this.#events && epoch !== this.#events.epoch) this.#repairInBackground();
    if (this.#cleared?.epoch === epoch && this.#cleared.oldest >= oldest) return;
    this.#cleared = { epoch, oldest };
    this.#dropCleared();
  }

  #dropCleared(): void {
    if (!this.#events || this.#events.epoch !== this.#cleared?.epoch) return;
    if (this.#events.first < this.#cleared.oldest) this.#options.beforeLoss();
    this.#events.dropBelow(this.#cleared.oldest);
  }

  /** Drops the oldest events beyond a number of bytes: subscribers that need them read the log. */
  shrink(bytes: number): void {
    this.#events?.trim({ events: 0, bytes });
  }

  /** Stops all timers. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#retryTimer?.[Symbol.dispose]();
    this.#retryTimer = null;
    this.#graceTimer?.[Symbol.dispose]();
    this.#graceTimer = null;
    this.#observedTimer?.[Symbol.dispose]();
    this.#observedTimer = null;
  }
}
