/**
 * The durable log of all pipelines in Deno KV: what is appended here was
 * accepted, and what is read here is the truth.
 *
 * @module
 */

import { type Clock, wait } from "./clock.ts";
import { RunnelError } from "./errors.ts";
import { type AcceptedEvent, mintEpoch, type NewEvent } from "./event.ts";
import { clearHead, type Head, newHead, type Retention } from "./head.ts";
import { digestOnce } from "./idempotency.ts";
import { headKey, segmentsBelow, segmentsFrom } from "./keys.ts";
import type { Kv, KvConnection } from "./kv_connection.ts";
import { type Commit, LogWriter, type Receipt } from "./log_writer.ts";
import type { Report } from "./report.ts";
import { EVENT_OVERHEAD_BYTES, readSegmentHeader, unpackSegment } from "./segment.ts";

/** What a request costs in memory while it waits, beside its bytes. */
const REQUEST_OVERHEAD_BYTES = 512;

/** Writers that are kept, with the heads that they know, though nothing waits. */
const MAX_IDLE_WRITERS = 1000;

/**
 * How long a pipeline that nobody wrote to keeps its epoch, in milliseconds. Its
 * subscribers come back within 29 hours at the latest, and renew it.
 */
const UNWRITTEN_LIFETIME_MS = 72 * 60 * 60 * 1000;

/** Segments deleted in one commit: Deno KV takes 1,000 changes, and this takes turns. */
const SWEEP_SIZE = 200;

/** Segments fetched at once: Deno KV's own choice, 100, would be 6 MiB at worst. */
const READ_SIZE = 64;

/** Events of a page, at most: tiny ones grow many times over when they are encoded. */
const MAX_PAGE_EVENTS = 1000;

/** How often a page is read anew when the log is trimmed under its reader. */
const READ_TRIES = 5;

/** Why events are missing: retention took them, or a clear. */
export type MissedReason = "evicted" | "cleared";

/** Events of a pipeline as they follow a position. */
export interface Page {
  /** Which log of the pipeline they are from. */
  epoch: string;
  /** The sequence of the newest event that was known when the page was read. */
  sequence: number;
  /** The sequence after which `events` begin: as asked, or later if events are gone. */
  after: number;
  /** How many events are gone between the position asked for and `after`. */
  missed: number;
  /** Why they are gone. */
  reason: MissedReason;
  /** The events, contiguous; empty if nothing follows. */
  events: AcceptedEvent[];
}

/** What an {@linkcode EventLog} works with. */
export interface EventLogOptions {
  /** The store. */
  kv: KvConnection;
  /** Whether others write to the store, too. */
  shared: boolean;
  /** Whose time it is. */
  clock: Clock;
  /** A number from 0 up to 1, for jitter. */
  random: () => number;
  /** What is kept behind the history. */
  retention: Retention;
  /** How long a publish may take, in milliseconds. */
  timeoutMs: number;
  /** How many bytes of events may wait for their commits, in all pipelines together. */
  maxWaitingBytes: number;
  /** Hears of trouble that no caller is told of. */
  report: Report;
}

/** What is used of a log, whether it is this isolate's own or another's. */
export type Log = Pick<EventLog, keyof EventLog>;

/**
 * What a request costs in memory while it waits, in bytes.
 *
 * @param events The request's events.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(requestBytes([{ channel: "a", payload: new Uint8Array(7) }]), 528);
 * ```
 */
export function requestBytes(events: readonly NewEvent[]): number {
  let bytes = REQUEST_OVERHEAD_BYTES;
  for (const { channel, payload } of events) {
    // A UTF-16 unit is three bytes of UTF-8 at most.
    bytes += EVENT_OVERHEAD_BYTES + channel.length * 3 + payload.length;
  }
  return bytes;
}

/** The log. */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #writers = new Map<string, LogWriter>();
  /** Pipelines being swept, each with the sequence below which nothing stays. */
  readonly #sweeps = new Map<string, number>();
  #sweeping: Promise<unknown> = Promise.resolve();
  #waitingBytes = 0;
  #closed = false;
  #onCommit: (commit: Commit) => void = () => {};

  /**
   * Makes a log on a store that is open.
   *
   * @param options What it works with.
   */
  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  /** What is in memory here: requests that wait, in bytes, and pipelines being swept. */
  get pending(): { waitingBytes: number; sweeps: number } {
    return { waitingBytes: this.#waitingBytes, sweeps: this.#sweeps.size };
  }

  /**
   * Sets who hears of each commit made here, before its publishers do.
   *
   * @param onCommit Who hears.
   */
  listen(onCommit: (commit: Commit) => void): void {
    this.#onCommit = onCommit;
  }

  /**
   * Appends the events of one request, all or none, in one atomic commit.
   *
   * @param pipeline Whose log.
   * @param events The events, one at least.
   * @param key The idempotency key, if the publisher sent one.
   * @returns Where the events are, once they are durable.
   * @throws {RunnelError} `overloaded` or `log-unavailable` if nothing was
   *   stored, `outcome-unknown` if that is not known, `key-reused` if the key
   *   came with other events within 24 hours.
   */
  async append(pipeline: string, events: readonly NewEvent[], key?: string): Promise<Receipt> {
    const bytes = requestBytes(events);
    if (this.#waitingBytes + bytes > this.#options.maxWaitingBytes) {
      throw new RunnelError(
        "overloaded",
        "Cannot publish: too much is waiting for the log. Nothing was stored; try again",
      );
    }
    this.#waitingBytes += bytes;
    try {
      const once = key === undefined ? undefined : await digestOnce(key, events);
      if (this.#closed) throw new RunnelError("draining", "Cannot publish: closing");
      return await this.#writer(pipeline).append(events, bytes, once);
    } finally {
      this.#waitingBytes -= bytes;
    }
  }

  #writer(pipeline: string): LogWriter {
    let writer = this.#writers.get(pipeline);
    if (!writer) {
      this.#forgetIdleWriters();
      const { kv, shared, clock, random, retention, timeoutMs } = this.#options;
      writer = new LogWriter(pipeline, {
        kv,
        shared,
        clock,
        random,
        retention,
        timeoutMs,
        onCommit: (commit) => this.#deliver(commit),
        onTrim: (pipeline, oldest) => this.#sweep(pipeline, oldest),
      });
      this.#writers.set(pipeline, writer);
    }
    return writer;
  }

  /** What goes wrong with delivery is no failure of the commit, which stands. */
  #deliver(commit: Commit): void {
    try {
      this.#onCommit(commit);
    } catch (error) {
      this.#options.report(`Cannot deliver a commit of ${commit.pipeline}`, error);
    }
  }

  #forgetIdleWriters(): void {
    for (const [pipeline, writer] of this.#writers) {
      if (this.#writers.size < MAX_IDLE_WRITERS) return;
      if (writer.idle) this.#writers.delete(pipeline);
    }
  }

  /**
   * The head of a pipeline, by a strong read.
   *
   * @param pipeline Whose.
   * @returns The head, or `null` if nobody has written to or listened to it.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async head(pipeline: string): Promise<Head | null> {
    return (await this.#readHead(pipeline)).value;
  }

  /**
   * The heads of some pipelines, by one strong read.
   *
   * @param pipelines Whose: ten at most, the limit of Deno KV.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async heads(pipelines: readonly string[]): Promise<(Head | null)[]> {
    const entries = await this.#call((kv) => kv.getMany<Head[]>(pipelines.map(headKey)));
    return entries.map(({ value }) => value);
  }

  /**
   * Resolves when the commit of a pipeline that is under way here, if any, is over.
   *
   * @param pipeline Whose.
   */
  async committed(pipeline: string): Promise<void> {
    await this.#writers.get(pipeline)?.committed();
  }

  /**
   * The head of a pipeline that is about to have a subscriber. A pipeline that
   * nobody wrote to is given its epoch here, so that the very first subscriber
   * has a position to come back to; if nobody asks for it any more, it is
   * forgotten after three days.
   *
   * @param pipeline Whose.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async open(pipeline: string): Promise<Head> {
    const now = this.#options.clock.now();
    while (true) {
      const entry = await this.#readHead(pipeline);
      const head = entry.value;
      if (head && (head.sequence > 0 || now - head.time < UNWRITTEN_LIFETIME_MS / 2)) return head;
      const unwritten = newHead(head?.epoch ?? mintEpoch(), now);
      if (await this.#swapHead(entry, unwritten, UNWRITTEN_LIFETIME_MS)) return unwritten;
    }
  }

  /**
   * Reads what follows a sequence, up to about `maxBytes` of it.
   *
   * @param pipeline Whose log.
   * @param sequence After which event.
   * @param maxBytes How many bytes of segments to read at most, but one segment at least.
   * @returns The page, or `null` if there is no log of that pipeline.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async readAfter(pipeline: string, sequence: number, maxBytes: number): Promise<Page | null> {
    for (let tries = 1;; tries++) {
      const head = await this.head(pipeline);
      if (!head) return null;
      const after = Math.max(sequence, head.oldest - 1);
      const events = await this.#list(pipeline, after, maxBytes);
      const found = events[0]?.sequence ?? head.sequence + 1;
      if (found > after + 1 && tries < READ_TRIES) continue;
      if (found > after + 1) {
        this.#options.report(
          `The log of ${pipeline} has no events ${after + 1} to ${found - 1}`,
        );
      }
      return {
        epoch: head.epoch,
        sequence: Math.max(head.sequence, events.at(-1)?.sequence ?? 0),
        after: Math.max(after, found - 1),
        missed: Math.max(0, found - 1 - sequence),
        reason: head.oldest === head.cleared ? "cleared" : "evicted",
        events,
      };
    }
  }

  /** The contiguous events that are there; the pages of a list are not one snapshot. */
  async #list(pipeline: string, after: number, maxBytes: number): Promise<AcceptedEvent[]> {
    const until = this.#options.clock.now() + this.#options.timeoutMs;
    return await this.#call(async (kv) => {
      const events: AcceptedEvent[] = [];
      let bytes = 0;
      const selector = segmentsFrom(pipeline, after + 1);
      for await (const { value } of kv.list<Uint8Array>(selector, { batchSize: READ_SIZE })) {
        const { first } = readSegmentHeader(value);
        const previous = events.at(-1)?.sequence;
        if (previous !== undefined && first !== previous + 1) break;
        const wanted = unpackSegment(value).filter(({ sequence }) => sequence > after);
        events.push(...wanted.slice(0, MAX_PAGE_EVENTS - events.length));
        bytes += value.length;
        if (bytes >= maxBytes || events.length === MAX_PAGE_EVENTS) break;
        // Nobody waits for the rest any more.
        if (this.#options.clock.now() > until) break;
      }
      return events;
    });
  }

  /**
   * Clears a pipeline's history. Sequences go on and the epoch stays, so a
   * subscriber that was away learns how many events it missed.
   *
   * @param pipeline Whose.
   * @returns The head after the clear, or `null` if there is no log of that pipeline.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async clear(pipeline: string): Promise<Head | null> {
    while (true) {
      const entry = await this.#readHead(pipeline);
      if (entry.value === null) return null;
      const isClear = entry.value.oldest > entry.value.sequence;
      const head = isClear ? entry.value : clearHead(entry.value);
      if (!isClear && !await this.#swapHead(entry, head)) continue;
      // Also where it was clear: the sweep of then may have failed.
      this.#sweep(pipeline, head.oldest);
      return head;
    }
  }

  /** Deletes the segments below a sequence, off the path of publishers and readers. */
  #sweep(pipeline: string, oldest: number): void {
    const waiting = this.#sweeps.has(pipeline);
    this.#sweeps.set(pipeline, Math.max(oldest, this.#sweeps.get(pipeline) ?? 0));
    if (!waiting) this.#sweeping = this.#sweeping.then(() => this.#sweepNow(pipeline));
  }

  async #sweepNow(pipeline: string): Promise<void> {
    try {
      let deleted = SWEEP_SIZE;
      let below = 0;
      // Another trim may come while this one is swept.
      while ((deleted === SWEEP_SIZE || below < this.#sweeps.get(pipeline)!) && !this.#closed) {
        below = this.#sweeps.get(pipeline)!;
        const selector = segmentsBelow(pipeline, below);
        deleted = await this.#call(async (kv) => {
          const operation = kv.atomic();
          let count = 0;
          const options = { limit: SWEEP_SIZE, batchSize: READ_SIZE };
          for await (const { key } of kv.list(selector, options)) {
            operation.delete(key);
            count++;
          }
          if (count > 0) await operation.commit();
          return count;
        });
      }
    } catch (error) {
      // The next trim of the pipeline sweeps from the beginning again.
      if (!this.#closed) this.#options.report(`Cannot sweep the log of ${pipeline}`, error);
    } finally {
      this.#sweeps.delete(pipeline);
    }
  }

  /**
   * Asks the log for an answer.
   *
   * @param ms How long it may take, in milliseconds.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async ping(ms: number): Promise<void> {
    await this.#call((kv) => kv.get(headKey("")), ms);
  }

  /** Stops: what waits is refused, what is under way is heard to its end, the store is closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#writers.values().map((writer) => writer.close()));
    await this.#sweeping;
    this.#options.kv.close();
  }

  async #readHead(pipeline: string): Promise<Deno.KvEntryMaybe<Head>> {
    return await this.#call((kv) => kv.get<Head>(headKey(pipeline)));
  }

  /** Writes a head unless it changed since it was read. Whether it was written. */
  async #swapHead(
    { key, versionstamp }: Deno.KvEntryMaybe<Head>,
    head: Head,
    expireIn?: number,
  ): Promise<boolean> {
    const options = expireIn === undefined ? {} : { expireIn };
    const written = await this.#call(async (kv) => {
      try {
        return (await kv.atomic().check({ key, versionstamp }).set(key, head, options).commit()).ok;
      } catch (error) {
        // Two writers of one file: the other form of contention.
        if (error instanceof TypeError && error.message.includes("locked")) return false;
        throw error;
      }
    });
    if (!written) await wait(this.#options.clock, this.#options.random() * 10);
    return written;
  }

  async #call<T>(use: (kv: Kv) => Promise<T>, ms?: number): Promise<T> {
    try {
      return await this.#options.kv.call(use, ms);
    } catch (cause) {
      if (cause instanceof RunnelError && cause.type !== "storage-unusable") throw cause;
      throw new RunnelError("log-unavailable", "Cannot reach the log. Try again", { cause });
    }
  }
}
