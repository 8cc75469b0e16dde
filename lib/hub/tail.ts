/**
 * The newest events of one pipeline in memory, kept contiguous whatever arrives
 * in whatever order: what is missing is read from the log.
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
import { EncodedEvents, type PageReader, type TrimLimits } from "../stream/mod.ts";
import type { HeadSource, ObservedHead } from "../sync/mod.ts";
import { ReorderBuffer } from "./reorder_buffer.ts";

/** Pause before a repair that failed is repeated, in milliseconds. */
const REPAIR_PAUSE_MS = 1000;

/** Grace period for a broadcast commit to arrive before it is read from the log, in milliseconds. */
const BROADCAST_GRACE_MS = 20;

/** Grace period for a commit in flight here to deliver what a head tells of, in milliseconds. */
const COMMIT_GRACE_MS = 100;

/** What a {@linkcode Tail} works with. */
export interface TailOptions {
  /** The log. */
  log: Pick<EventLog, "open" | "committed">;
  /** Reads what is missing. */
  pages: Pick<PageReader, "read">;
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** What the tail keeps. */
  limits: TrimLimits;
  /** Hears that there are other events now. */
  onChange: () => void;
  /** Hears how many bytes the tail took in. */
  onGrowth: (bytes: number) => void;
}

/** Signal by which a tail learned that it was behind its log. */
export type RepairCause = "gap" | HeadSource;

/**
 * A pipeline's newest events.
 *
 * Everything that tells of an event which is not here ends in one of two ways:
 * the event is appended, or the log is read after that was learned. A repair in
 * progress may have read the head before the event was there, so it never
 * settles what was learned after it began; a repair that fails is repeated until
 * one succeeds.
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
  /** The newest event that was accepted here, while its broadcast may be on its way. */
  #expected: Position | null = null;
  #graceTimer: Disposable | null = null;
  /** The last clear: events below it may still come, late or from a read that began before. */
  #cleared: { epoch: string; oldest: number } | null = null;
  #closed = false;
  /** How many events the tail was behind its log when that was last compared. */
  behind = 0;
  /** How often the tail was repaired, by how that was learned. */
  readonly repairs: Record<RepairCause, number> = {
    gap: 0,
    announcement: 0,
    watch: 0,
    reconcile: 0,
  };

  /**
   * Makes a tail that knows nothing until its first repair.
   *
   * @param pipeline Whose.
   * @param options What it works with.
   */
  constructor(pipeline: string, options: TailOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
  }

  /** The events; `null` before the first repair. Another object if the log was replaced. */
  get events(): EncodedEvents | null {
    return this.#events;
  }

  /** The memory that the events take, in bytes. */
  get bytes(): number {
    return this.#events?.bytes ?? 0;
  }

  /**
   * Whether an event is or was here.
   *
   * @param position Which.
   */
  has({ epoch, sequence }: Position): boolean {
    return this.#events?.epoch === epoch && sequence <= this.#events.last;
  }

  /**
   * Takes a commit, from this isolate or another: the next one is appended, a
   * repetition dropped, and where something is missing the log is read.
   *
   * @param commit What was added to the pipeline's log.
   */
  receive(commit: Commit): void {
    if (this.#repairing) return this.#reorderBuffer.add(commit);
    if (this.#append(commit)) return this.#options.onChange();
    this.repairs.gap++;
    this.#repairInBackground();
  }

  /** Adds what a commit has beyond the tail. Whether nothing is missing before it. */
  #append({ epoch, cleared, segments }: Commit): boolean {
    const events = this.#events;
    if (epoch !== events?.epoch) return false;
    const before = events.bytes;
    for (const segment of segments) {
      const { first, last } = readSegmentHeader(segment);
      if (last <= events.last) continue;
      if (first > events.last + 1) return false;
      events.append(unpackSegment(segment).filter(({ sequence }) => sequence > events.last));
    }
    this.#options.onGrowth(events.bytes - before);
    events.trim(this.#options.limits);
    // The word of a clear may be lost, and one may be made past its deadline.
    this.clearBelow(epoch, cleared);
    this.#dropCleared();
    return true;
  }

  /**
   * Ensures that a committed event reaches the tail: waits briefly for its
   * broadcast, then reads the log.
   *
   * @param position The event.
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
   * Brings the event that is expected, if one is, from the log.
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
   * Brings an event from the log if it is not here, and all that is before it.
   *
   * @param position The event.
   * @returns Whether it is or was here then; if not, the log does not have it.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async catchUpTo(position: Position): Promise<boolean> {
    // The repair in progress may bring it, and its failure is for those who began it.
    if (!this.has(position)) await this.#repairing?.catch(() => {});
    if (!this.has(position)) await this.repair();
    return this.has(position);
  }

  /**
   * Compares the tail with a head of its log, and repairs it if it is behind.
   *
   * @param head The head as it was read; `null` if there is none.
   * @param cause Signal by which the head was learned.
   * @returns Whether the tail had to be repaired.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async reconcileWith(head: ObservedHead | null, cause: RepairCause): Promise<boolean> {
    if (this.#events) this.behind = head ? Math.max(0, head.sequence - this.#events.last) : 0;
    if (this.#isBehind(head)) await this.#waitForOwnCommit();
    if (this.#isBehind(head)) await this.#repairing?.catch(() => {});
    if (!this.#isBehind(head)) {
      if (head) this.clearBelow(head.epoch, head.cleared);
      return false;
    }
    if (this.#closed) return false;
    this.repairs[cause]++;
    await this.repair();
    return true;
  }

  #isBehind(head: ObservedHead | null): boolean {
    return head ? !this.has(head) : this.#events !== null && this.#events.last > 0;
  }

  /** Waits briefly for a commit in flight here, which delivers what it adds by itself. */
  async #waitForOwnCommit(): Promise<void> {
    const { log, runtime: { clock } } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = clock.after(COMMIT_GRACE_MS, resolve);
    // If the log does not answer, the repair that follows reports it.
    await Promise.race([promise, log.committed(this.#pipeline).catch(() => {})]);
  }

  /**
   * Joins the repair in progress, or else begins one.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  load(): Promise<void> {
    return this.#repairing ??= this.#repairNow();
  }

  /**
   * Brings the tail up to the log's head, by a strong read that begins after
   * this call.
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
    const { log, pages, limits } = this.#options;
    const { bytes } = this;
    const head = await log.open(this.#pipeline);
    let events = this.#events;
    if (!events || events.epoch !== head.epoch || events.last > head.sequence) {
      events = new EncodedEvents(head.epoch, Math.max(0, head.sequence - limits.events));
    } else if (head.sequence - events.last > limits.events) {
      // What lies between is read by those alone who need it.
      events = new EncodedEvents(head.epoch, head.sequence - limits.events);
    }
    while (events.last < head.sequence) {
      const page = await pages.read(this.#pipeline, events.last);
      if (page?.epoch !== events.epoch) break;
      if (page.missed > 0) events = new EncodedEvents(page.epoch, page.after);
      events.appendAll(page.events);
      events.trim(limits);
    }
    this.#events = events;
    this.clearBelow(head.epoch, head.cleared);
    this.#dropCleared();
    this.#options.onGrowth(Math.max(0, events.bytes - bytes));
    return head;
  }

  /** Starts a repair that no caller waits for. */
  #repairInBackground(): void {
    // A repair that waits to be repeated reads the head then.
    if (this.#retryTimer || this.#closed) return;
    this.#inBackground(this.repair());
  }

  #inBackground(repair: Promise<void>): void {
    repair.catch((error) => {
      this.#options.runtime.report(`Cannot repair the tail of ${this.#pipeline}`, error);
    });
  }

  /** Repeats a failed repair, since nothing else may tell of what it was to read. */
  #retryLater(): void {
    if (this.#closed) return;
    this.#retryTimer ??= this.#options.runtime.clock.after(REPAIR_PAUSE_MS, () => {
      this.#retryTimer = null;
      this.#repairInBackground();
    });
  }

  /**
   * Removes the events below a sequence, which were cleared.
   *
   * @param epoch The epoch of the log that was cleared.
   * @param oldest The sequence of the oldest event that stays.
   */
  clearBelow(epoch: string, oldest: number): void {
    // The log may have been replaced before it was cleared.
    if (this.#events && epoch !== this.#events.epoch) this.#repairInBackground();
    if (this.#cleared?.epoch === epoch && this.#cleared.oldest >= oldest) return;
    this.#cleared = { epoch, oldest };
    this.#dropCleared();
  }

  #dropCleared(): void {
    if (this.#events && this.#events.epoch === this.#cleared?.epoch) {
      this.#events.dropBelow(this.#cleared.oldest);
    }
  }

  /**
   * Gives up events to save memory: who needs them reads the log.
   *
   * @param bytes How many bytes may stay.
   */
  shrink(bytes: number): void {
    this.#events?.trim({ events: 0, bytes });
  }

  /** Ends what the tail has under way. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#retryTimer?.[Symbol.dispose]();
    this.#retryTimer = null;
    this.#graceTimer?.[Symbol.dispose]();
    this.#graceTimer = null;
  }
}
