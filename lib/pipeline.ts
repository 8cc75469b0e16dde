/**
 * One pipeline that has subscribers here: keeps its tail contiguous, whatever
 * arrives in whatever order, and wakes its subscribers.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { parseEventId, type Position } from "./event.ts";
import type { EventLog } from "./event_log.ts";
import { EventRun, type RunLimits } from "./event_run.ts";
import type { Head } from "./head.ts";
import type { Commit } from "./log_writer.ts";
import type { EncodedPage, PageReader } from "./page_reader.ts";
import type { Report } from "./report.ts";
import { readSegmentHeader, unpackSegment } from "./segment.ts";
import { Subscriber, type SubscriberOptions, type SubscriberSource } from "./subscriber.ts";

/** Bytes of commits that may wait for a repair of the tail; beyond, the log is asked again. */
const MAX_EARLY_BYTES = 2 * 1024 * 1024;

/** How often the log is read for what is missing before a commit: it has it, unless it was replaced. */
const REPAIR_TRIES = 5;

/** How long to wait before a repair that failed is tried again, in milliseconds. */
const REPAIR_PAUSE_MS = 1000;

/** How long the word of another isolate's commit may take before the log is read, in milliseconds. */
const WORD_MS = 20;

/** What a {@linkcode Pipeline} works with. */
export interface PipelineOptions {
  /** The log. */
  log: Pick<EventLog, "open">;
  /** Reads what is missing. */
  pages: PageReader;
  /** Whose time it is. */
  clock: Clock;
  /** What the tail keeps. */
  limits: RunLimits;
  /** Resolves when the commit of this pipeline that is under way here, if any, is over. */
  committed: () => Promise<void>;
  /** Hears how many bytes the tail took in. */
  onGrowth: (bytes: number) => void;
  /** Hears of trouble that nobody else is told of. */
  report: Report;
}

/** How a subscriber comes to a pipeline. */
export interface Arrival extends Omit<SubscriberOptions, "source" | "resume" | "report"> {
  /** The last event ID that it brings, in whatever form. */
  lastEventId: string | undefined;
}

/** How a pipeline learned that it was behind its log. */
export type RepairCause = "gap" | "watch" | "reconcile";

/** A pipeline that is live in this isolate. */
export class Pipeline implements SubscriberSource, Disposable {
  readonly #id: string;
  readonly #options: PipelineOptions;
  readonly #subscribers = new Set<Subscriber>();
  #tail: EventRun | null = null;
  #repairing: Promise<void> | null = null;
  /** Commits that do not follow the tail yet. */
  #early: Commit[] = [];
  #retry: Disposable | null = null;
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
   * Makes a pipeline that reads the log when its first subscriber comes.
   *
   * @param id The pipeline's ID.
   * @param options What it works with.
   */
  constructor(id: string, options: PipelineOptions) {
    this.#id = id;
    this.#options = options;
  }

  /** The subscribers. */
  get subscribers(): ReadonlySet<Subscriber> {
    return this.#subscribers;
  }

  /** The newest events: there once the first subscriber is. */
  get tail(): EventRun {
    return this.#tail!;
  }

  /** The bytes of the tail. */
  get tailBytes(): number {
    return this.#tail?.bytes ?? 0;
  }

  /**
   * Takes a commit, from this isolate or another: the next one is delivered, a
   * repetition dropped, and where something is missing the log is read.
   *
   * @param commit What was added to the pipeline's log.
   */
  receive(commit: Commit): void {
    if (!this.#repairing && this.#tail && this.#append(commit)) return this.#wake();
    this.#early.push(commit);
    while (sizeOf(this.#early) > MAX_EARLY_BYTES) this.#early.shift();
    if (this.#repairing) return;
    this.repairs.gap++;
    this.#repairAside();
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
    const isBehind = () =>
      head ? head.epoch !== this.tail.epoch || head.sequence > this.tail.last : this.tail.last > 0;
    // While it is repaired it is brought up to the head in any case.
    if (!this.#tail || this.#repairing) return false;
    this.behind = head ? Math.max(0, head.sequence - this.tail.last) : 0;
    // What is being committed here is delivered by that.
    if (isBehind()) await this.#options.committed();
    if (!isBehind()) {
      if (head) this.clearBelow(head.epoch, head.cleared);
      return false;
    }
    this.repairs[cause]++;
    await this.repair();
    return true;
  }

  /**
   * Makes sure that an event which is in the log comes: soon by itself, or else
   * from there.
   *
   * @param epoch Which log it is in.
   * @param sequence Its sequence.
   */
  expect(epoch: string, sequence: number): void {
    if (this.#has({ epoch, sequence }) || this.#closed) return;
    if (sequence > (this.#expected?.sequence ?? 0)) this.#expected = { epoch, sequence };
    this.#wordTimer ??= this.#options.clock.after(WORD_MS, () => {
      this.#wordTimer = null;
      const expected = this.#expected!;
      this.#expected = null;
      if (!this.#has(expected)) this.#repairAside();
    });
  }

  #has({ epoch, sequence }: Position): boolean {
    return this.#tail?.epoch === epoch && sequence <= this.#tail.last;
  }

  /** Adds what a commit has beyond the tail. Whether nothing is missing before it. */
  #append({ epoch, segments }: Commit): boolean {
    const tail = this.tail;
    if (epoch !== tail.epoch) return false;
    const before = tail.bytes;
    for (const segment of segments) {
      const { first, last } = readSegmentHeader(segment);
      if (last <= tail.last) continue;
      if (first > tail.last + 1) return false;
      tail.append(unpackSegment(segment).filter((event) => event.sequence > tail.last));
    }
    this.#options.onGrowth(tail.bytes - before);
    tail.trim(this.#options.limits);
    this.#dropCleared();
    return true;
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
    if (this.#tail && this.#tail.epoch === this.#cleared?.epoch) {
      this.#tail.dropBelow(this.#cleared.oldest);
    }
  }

  /**
   * Gives up events to save memory: who needs them reads the log.
   *
   * @param bytes How many bytes may stay.
   */
  shrink(bytes: number): void {
    this.#tail?.trim({ events: 0, bytes });
  }

  /**
   * Adds a subscriber.
   *
   * @param arrival How it comes.
   * @returns The subscriber, its stream ready to be read.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async subscribe({ lastEventId, ...arrival }: Arrival): Promise<Subscriber> {
    // A pipeline that nobody wrote to has an epoch that has to be renewed.
    if (!this.#tail || this.#tail.last === 0) await this.repair();
    const resume = lastEventId === undefined ? "fresh" : await this.#resume(lastEventId);
    const subscriber = new Subscriber({
      ...arrival,
      source: this,
      resume,
      report: this.#options.report,
      onGone: (subscriber) => {
        this.#subscribers.delete(subscriber);
        arrival.onGone(subscriber);
      },
    });
    this.#subscribers.add(subscriber);
    return subscriber;
  }

  async #resume(lastEventId: string): Promise<number | "unknown"> {
    const position = parseEventId(lastEventId);
    if (!position) return "unknown";
    const isKnown = () => this.#has(position);
    // A tail that lags must not call a good position foreign.
    if (!isKnown()) {
      // One that is under way may have read the head before the position was there.
      await this.#repairing?.catch(() => {});
      await this.repair();
    }
    return isKnown() ? position.sequence : "unknown";
  }

  /**
   * Reads what follows a sequence from the log.
   *
   * @param sequence After which event.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async page(sequence: number): Promise<EncodedPage | null> {
    const before = this.tail.last;
    const page = await this.#options.pages.read(this.#id, sequence);
    const { epoch, last } = this.tail;
    // Ahead of the tail, or behind where it was: the log was replaced.
    const isOff = page?.epoch !== epoch || page.sequence > last || page.sequence < before;
    if (isOff) await this.repair();
    return page;
  }

  /**
   * Brings the tail up to the log's head, by a strong read.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  repair(): Promise<void> {
    return this.#repairing ??= this.#repair();
  }

  async #repair(): Promise<void> {
    try {
      for (let tries = 0; tries < REPAIR_TRIES; tries++) {
        await this.#catchUp();
        if (this.#appendEarly()) break;
      }
    } catch (error) {
      this.#repairLater();
      throw error;
    } finally {
      // In the same turn as the last look at the early commits: the next one
      // goes straight to the tail.
      this.#repairing = null;
    }
    this.#wake();
  }

  async #catchUp(): Promise<void> {
    const { log, pages, limits } = this.#options;
    const bytes = this.tailBytes;
    const head = await log.open(this.#id);
    let tail = this.#tail;
    if (!tail || tail.epoch !== head.epoch || tail.last > head.sequence) {
      tail = new EventRun(head.epoch, Math.max(0, head.sequence - limits.events));
    } else if (head.sequence - tail.last > limits.events) {
      // What lies between is read by those alone who need it.
      tail = new EventRun(head.epoch, head.sequence - limits.events);
    }
    while (tail.last < head.sequence) {
      const page = await pages.read(this.#id, tail.last);
      if (page?.epoch !== tail.epoch) break;
      if (page.missed > 0) tail = new EventRun(page.epoch, page.after);
      tail.appendRun(page.run);
      tail.trim(limits);
    }
    this.#tail = tail;
    this.clearBelow(head.epoch, head.cleared);
    this.#dropCleared();
    this.#options.onGrowth(Math.max(0, tail.bytes - bytes));
  }

  /** Adds the commits that arrived during a repair. Whether nothing is missing before them. */
  #appendEarly(): boolean {
    const early = this.#early.splice(0).filter(({ epoch }) => epoch === this.tail.epoch);
    early.sort((a, b) =>
      readSegmentHeader(a.segments[0]!).first - readSegmentHeader(b.segments[0]!).first
    );
    while (early.length > 0 && this.#append(early[0]!)) early.shift();
    this.#early.unshift(...early);
    return early.length === 0;
  }

  /** Repairs while nobody waits for it. */
  #repairAside(): void {
    if (this.#retry || this.#closed) return;
    this.repair().catch((error) => {
      this.#options.report(`Cannot repair the tail of ${this.#id}`, error);
    });
  }

  /** Commits that wait are delivered even if nothing more comes. */
  #repairLater(): void {
    if (this.#closed || this.#early.length === 0) return;
    this.#retry ??= this.#options.clock.after(REPAIR_PAUSE_MS, () => {
      this.#retry = null;
      this.#repairAside();
    });
  }

  #wake(): void {
    for (const subscriber of this.#subscribers) subscriber.wake();
  }

  /** Ends what the pipeline has under way. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#retry?.[Symbol.dispose]();
    this.#retry = null;
    this.#wordTimer?.[Symbol.dispose]();
    this.#wordTimer = null;
  }
}

function sizeOf(commits: readonly Commit[]): number {
  let bytes = 0;
  for (const { segments } of commits) {
    for (const segment of segments) bytes += segment.length;
  }
  return bytes;
}
