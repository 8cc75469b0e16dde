/**
 * The newest events of one pipeline in memory, kept contiguous whatever arrives
 * in whatever order: what is missing is read from the log.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Commit } from "./commit.ts";
import { EarlyCommits } from "./early_commits.ts";
import type { Position } from "./event.ts";
import type { EventLog } from "./event_log.ts";
import { EventRun, type RunLimits } from "./event_run.ts";
import type { Head } from "./head.ts";
import type { PageReader } from "./page_reader.ts";
import type { Report } from "./report.ts";
import { readSegmentHeader, unpackSegment } from "./segment.ts";

/** How often the log is read for what is missing before a commit: it has it, unless it was replaced. */
const REPAIR_TRIES = 5;

/** How long to wait before a repair that failed is tried again, in milliseconds. */
const REPAIR_PAUSE_MS = 1000;

/** How long the word of another isolate's commit may take before the log is read, in milliseconds. */
const WORD_MS = 20;

/** What a {@linkcode Tail} works with. */
export interface TailOptions {
  /** The log. */
  log: Pick<EventLog, "open" | "committed">;
  /** Reads what is missing. */
  pages: Pick<PageReader, "read">;
  /** Whose time it is. */
  clock: Clock;
  /** What the tail keeps. */
  limits: RunLimits;
  /** Hears that there are other events now. */
  onChange: () => void;
  /** Hears how many bytes the tail took in. */
  onGrowth: (bytes: number) => void;
  /** Hears of trouble that nobody else is told of. */
  report: Report;
}

/** How it was learned that a tail was behind its log. */
export type RepairCause = "gap" | "watch" | "reconcile";

/** A pipeline's newest events. */
export class Tail implements Disposable {
  readonly #pipeline: string;
  readonly #options: TailOptions;
  #events: EventRun | null = null;
  /** Commits that came during a repair, or to which something is missing. */
  readonly #early = new EarlyCommits();
  /** The repair under way. */
  #repairing: Promise<void> | null = null;
  #retryTimer: Disposable | null = null;
  /** The newest event that is known to be in the log, while it may come by itself. */
  #expected: Position | null = null;
  #wordTimer: Disposable | null = null;
  /** The last clear: events below it may still come, late or from a read that began before. */
  #cleared: { epoch: string; oldest: number } | null = null;
  #closed = false;
  /** How many events the tail was behind its log when that was last compared. */
  behind = 0;
  /** How often the tail was repaired, by how that was learned. */
  readonly repairs: Record<RepairCause, number> = { gap: 0, watch: 0, reconcile: 0 };

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
  get events(): EventRun | null {
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
    if (!this.#repairing && this.#append(commit)) return this.#options.onChange();
    this.#early.add(commit);
    if (this.#repairing) return;
    this.repairs.gap++;
    this.#repairAside();
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
   * Makes sure that an event which is in the log comes: soon by itself, or else
   * from there.
   *
   * @param position Which.
   */
  expect(position: Position): void {
    if (this.has(position) || this.#closed) return;
    if (position.sequence > (this.#expected?.sequence ?? 0)) this.#expected = position;
    this.#wordTimer ??= this.#options.clock.after(WORD_MS, () => {
      this.#wordTimer = null;
      this.#aside(this.reachExpected());
    });
  }

  /**
   * Brings the event that is expected, if one is, from the log.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async reachExpected(): Promise<void> {
    const expected = this.#expected;
    if (!expected) return;
    await this.reach(expected);
    if (this.#expected === expected) this.#expected = null;
  }

  /**
   * Brings an event from the log if it is not here, and all that is before it.
   *
   * @param position Which.
   * @returns Whether it is or was here then: otherwise it is none of this log.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async reach(position: Position): Promise<boolean> {
    if (!this.has(position)) {
      // A repair under way may have read the head before the event was there.
      await this.#repairing?.catch(() => {});
      if (!this.has(position)) await this.repair();
    }
    return this.has(position);
  }

  /**
   * Compares the tail with the log's head, and repairs it if it is behind.
   *
   * @param head The head as it was read; `null` if there is none.
   * @param cause Why it was read.
   * @returns Whether the tail had to be repaired.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async compare(head: Head | null, cause: RepairCause): Promise<boolean> {
    // While it is repaired it is brought up to the head in any case.
    if (!this.#events || this.#repairing) return false;
    this.behind = head ? Math.max(0, head.sequence - this.#events.last) : 0;
    // What is being committed here is delivered by that.
    if (this.#isBehind(head)) await this.#options.log.committed(this.#pipeline);
    if (!this.#isBehind(head)) {
      if (head) this.clearBelow(head.epoch, head.cleared);
      return false;
    }
    this.repairs[cause]++;
    await this.repair();
    return true;
  }

  #isBehind(head: Head | null): boolean {
    return head ? !this.has(head) : this.#events !== null && this.#events.last > 0;
  }

  /**
   * Brings the tail up to the log's head, by a strong read. A repair that is
   * under way is joined.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  repair(): Promise<void> {
    return this.#repairing ??= this.#repairNow();
  }

  async #repairNow(): Promise<void> {
    try {
      for (let tries = 0; tries < REPAIR_TRIES; tries++) {
        const events = await this.#readToHead();
        if (this.#early.release(events.epoch, (commit) => this.#append(commit))) break;
      }
    } catch (error) {
      this.#retryLater();
      throw error;
    } finally {
      // In the same turn as the last look at the early commits: the next one
      // is appended at once.
      this.#repairing = null;
    }
    this.#options.onChange();
  }

  /** Reads what the log has beyond the tail. */
  async #readToHead(): Promise<EventRun> {
    const { log, pages, limits } = this.#options;
    const { bytes } = this;
    const head = await log.open(this.#pipeline);
    let events = this.#events;
    if (!events || events.epoch !== head.epoch || events.last > head.sequence) {
      events = new EventRun(head.epoch, Math.max(0, head.sequence - limits.events));
    } else if (head.sequence - events.last > limits.events) {
      // What lies between is read by those alone who need it.
      events = new EventRun(head.epoch, head.sequence - limits.events);
    }
    while (events.last < head.sequence) {
      const page = await pages.read(this.#pipeline, events.last);
      if (page?.epoch !== events.epoch) break;
      if (page.missed > 0) events = new EventRun(page.epoch, page.after);
      events.appendRun(page.run);
      events.trim(limits);
    }
    this.#events = events;
    this.clearBelow(head.epoch, head.cleared);
    this.#dropCleared();
    this.#options.onGrowth(Math.max(0, events.bytes - bytes));
    return events;
  }

  /** Repairs while nobody waits for it. */
  #repairAside(): void {
    if (this.#retryTimer || this.#closed) return;
    this.#aside(this.repair());
  }

  #aside(repair: Promise<void>): void {
    repair.catch((error) => {
      this.#options.report(`Cannot repair the tail of ${this.#pipeline}`, error);
    });
  }

  /** Commits that wait are delivered even if nothing more comes. */
  #retryLater(): void {
    if (this.#closed || this.#early.size === 0) return;
    this.#retryTimer ??= this.#options.clock.after(REPAIR_PAUSE_MS, () => {
      this.#retryTimer = null;
      this.#repairAside();
    });
  }

  /**
   * Forgets the events below a sequence, which were cleared.
   *
   * @param epoch Which log was cleared.
   * @param oldest The sequence of the oldest event that stays.
   */
  clearBelow(epoch: string, oldest: number): void {
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
    this.#wordTimer?.[Symbol.dispose]();
    this.#wordTimer = null;
  }
}
