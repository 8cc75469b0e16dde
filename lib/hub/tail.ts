/**
 * The newest events of one pipeline in memory. They stay contiguous whatever
 * arrives in whatever order: missing events are read from the log.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import { type Commit, type Head, readSegmentHeader, unpackSegment } from "../log/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { EncodedEvents } from "../stream/mod.ts";
import type { HeadSource } from "../sync/mod.ts";
import { ReorderBuffer } from "./reorder_buffer.ts";
import { readToHead, type TailReaderOptions } from "./tail_reader.ts";

/** Pause before a failed repair is repeated, in milliseconds. */
const REPAIR_PAUSE_MS = 1000;

/** Options for {@linkcode Tail}. */
export interface TailOptions extends TailReaderOptions {
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
  /** The last clear: events below it may still arrive, late or from a read that began before it. */
  #cleared: { epoch: string; oldest: number } | null = null;
  #closed = false;
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

  /** Resolves when the repair in progress has ended or failed; `undefined` without one. */
  get repairing(): Promise<void> | undefined {
    return this.#repairing?.catch(() => {});
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
   * Reads the log up to an event, unless the tail has it.
   *
   * @returns Whether the tail has it then; if not, the log does not have it.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async catchUpTo(position: Position): Promise<boolean> {
    // The repair in progress may bring it, and its failure is reported by its own caller.
    if (!this.has(position)) await this.repairing;
    if (!this.has(position)) await this.repair();
    return this.has(position);
  }

  #countRepair(cause: RepairCause): void {
    this.repairs[cause]++;
    this.#options.runtime.report("A tail is behind its log and is repaired", undefined, {
      level: "debug",
      fields: { pipeline: this.#pipeline, cause },
    });
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
   * @param cause Signal that revealed that the tail is behind, if it is.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  repair(cause?: RepairCause): Promise<void> {
    if (cause) this.#countRepair(cause);
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
    this.repair().catch((error) => this.reportFailure(error));
  }

  /** Reports the error of a repair that no caller waits for. */
  reportFailure(error: unknown): void {
    this.#options.runtime.report("Cannot repair the tail of a pipeline", error, {
      fields: { pipeline: this.#pipeline },
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

  /** Sequence of the oldest event that was not cleared from the log of an epoch; 0 if none was. */
  oldestAfterClear(epoch: string): number {
    return this.#cleared?.epoch === epoch ? this.#cleared.oldest : 0;
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

  /** Repairs nothing by itself any more. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#retryTimer?.[Symbol.dispose]();
    this.#retryTimer = null;
  }
}
