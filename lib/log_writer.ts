/**
 * Appends to one pipeline's log, one commit at a time. Requests that arrive
 * while a commit is under way join the next one, so latency stays that of one
 * commit while throughput grows with the load.
 *
 * A commit whose answer is missing or negative may still have been made: the
 * client of a remote store sends a commit again by itself, and a frozen
 * connection delivers late. So every commit carries a token in its segments,
 * and nothing else is appended before the log was asked for that token.
 *
 * @module
 */

import { type Clock, wait } from "./clock.ts";
import { RunnelError } from "./errors.ts";
import { mintEpoch, type NewEvent } from "./event.ts";
import { advanceHead, type Head, newHead, type Retention } from "./head.ts";
import { KEY_LIFETIME_MS, type Once, type OnceRecord } from "./idempotency.ts";
import { headKey, onceKey, segmentKey } from "./keys.ts";
import type { Kv, KvConnection } from "./kv_connection.ts";
import { packSegments, readSegmentHeader } from "./segment.ts";

/** The bytes of events of one commit: with keys and head it stays below 800 KiB. */
const MAX_COMMIT_BYTES = 640 * 1024;

/** The requests of one commit: their keys stay below 80 KiB. */
const MAX_COMMIT_REQUESTS = 400;

/** Deno KV reads at most this many keys in one call. */
const MAX_READ_KEYS = 10;

/** Commits one after the other before a writer of a shared store yields to others. */
const MAX_STREAK = 8;

/** How long a writer yields at most, in milliseconds; twice that with jitter. */
const MAX_YIELD_MS = 500;

/** How long to wait before a commit of unknown outcome is asked for again, in milliseconds. */
const SETTLE_PAUSE_MS = 1000;

/** What was answered to a request. */
export interface Receipt {
  /** The epoch of the events' IDs. */
  epoch: string;
  /** The sequence of the request's first event. */
  first: number;
  /** How many events the request had. */
  count: number;
  /** Whether an earlier request with the same key did the work. */
  replayed: boolean;
}

/** What a commit added to a pipeline's log. */
export interface Commit {
  /** Whose log. */
  pipeline: string;
  /** Which log of the pipeline. */
  epoch: string;
  /** The events, as segments. */
  segments: Uint8Array[];
}

/** What a {@linkcode LogWriter} works with. */
export interface LogWriterOptions {
  /** The store. */
  kv: KvConnection;
  /** Whether others write to the store, too, who are to have their turns. */
  shared: boolean;
  /** Whose time it is. */
  clock: Clock;
  /** A number from 0 up to 1, for jitter. */
  random: () => number;
  /** What the log keeps. */
  retention: Retention;
  /** How long a request may wait for its turn, and its commit may take then, in milliseconds. */
  timeoutMs: number;
  /** Hears of each commit, before its requests are answered. */
  onCommit: (commit: Commit) => void;
  /** Hears that a commit moved the oldest event retained. */
  onTrim: (pipeline: string, oldest: number) => void;
}

/** A request that waits for its commit. */
interface Waiting {
  events: readonly NewEvent[];
  bytes: number;
  once: Once | undefined;
  /** When it has waited long enough for the commit before its own, in milliseconds of the clock. */
  until: number;
  answer: PromiseWithResolvers<Receipt>;
}

/** The head as last seen; without a versionstamp there is none in the log yet. */
interface Known {
  head: Head;
  versionstamp: string | null;
}

/** A commit as it is tried, the same at every try on the same head. */
interface Plan {
  base: Known;
  token: bigint;
  next: Head;
  segments: Uint8Array[];
  /** The key of the first segment: whoever finds our token there knows that we committed. */
  firstKey: Deno.KvKey;
  requests: Waiting[];
}

/** The appends of one pipeline. */
export class LogWriter {
  readonly #pipeline: string;
  readonly #options: LogWriterOptions;
  #queue: Waiting[] = [];
  /** Requests with a key that wait or are under way, by the key. */
  readonly #byKey = new Map<string, Waiting>();
  #known: Known | null = null;
  /** A commit that was tried and neither confirmed nor ruled out. */
  #unsettled: Plan | null = null;
  #running: Promise<void> | null = null;
  /** The commit under way, failed or not. */
  #committing: Promise<unknown> = Promise.resolve();
  #closed = false;
  #wake = () => {};

  /**
   * Makes a writer that knows nothing of the log yet.
   *
   * @param pipeline Whose log.
   * @param options What it works with.
   */
  constructor(pipeline: string, options: LogWriterOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
  }

  /** Whether nothing waits, nothing is under way and nothing is in doubt. */
  get idle(): boolean {
    return this.#running === null;
  }

  /** Resolves when the commit that is under way, if any, is over. */
  async committed(): Promise<void> {
    await this.#committing;
  }

  /**
   * Appends the events of one request: all or none.
   *
   * @param events The events, one at least.
   * @param bytes How many bytes they take in segments.
   * @param once The key of a request that is to happen once.
   * @returns Where they are, once they are durable.
   * @throws {RunnelError} `key-reused` if the key came with other events;
   *   `log-unavailable` if nothing was stored; `outcome-unknown` if that is not
   *   known.
   */
  async append(events: readonly NewEvent[], bytes: number, once?: Once): Promise<Receipt> {
    for (let twin; once && (twin = this.#byKey.get(once.key.toHex()));) {
      if (twin.once?.fingerprint === once.fingerprint) {
        return { ...await twin.answer.promise, replayed: true };
      }
      // Whose the key is, is known once the other was stored or refused.
      await twin.answer.promise.catch(() => {});
    }
    if (this.#closed) throw draining();
    const until = this.#options.clock.now() + this.#options.timeoutMs;
    const waiting: Waiting = { events, bytes, once, until, answer: Promise.withResolvers() };
    if (once) this.#byKey.set(once.key.toHex(), waiting);
    this.#queue.push(waiting);
    this.#wake();
    this.#running ??= this.#run();
    try {
      return await waiting.answer.promise;
    } finally {
      if (once) this.#byKey.delete(once.key.toHex());
    }
  }

  /** Stops: what waits is refused, what is under way is heard to its end. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#refuse(this.#queue.splice(0), draining());
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    let streak = 0;
    while (!this.#closed && (this.#unsettled || this.#queue.length > 0)) {
      const batch: Waiting[] = [];
      try {
        if (this.#unsettled) await this.#settleForGood(this.#unsettled);
        batch.push(...this.#takeBatch());
        const started = this.#options.clock.now();
        const commit = this.#commit(batch);
        this.#committing = commit.catch(() => {});
        await commit;
        if (this.#options.shared && ++streak % MAX_STREAK === 0) await this.#yield(started);
      } catch (cause) {
        this.#fail(batch, cause);
        if (this.#unsettled) await this.#pause();
      }
    }
    this.#running = null;
  }

  /**
   * Lets others have their turn: who knows the head commits faster than whoever
   * has to read it first, and would win every time. A read and a commit of
   * theirs take about twice as long as the commit that was just made.
   */
  async #yield(started: number): Promise<void> {
    const { clock, random } = this.#options;
    const ms = Math.min(3 * (clock.now() - started) + 1, MAX_YIELD_MS);
    await wait(clock, ms * (1 + random()));
  }

  #takeBatch(): Waiting[] {
    const now = this.#options.clock.now();
    const inTime = this.#queue.findIndex(({ until }) => until >= now);
    this.#refuse(
      this.#queue.splice(0, inTime < 0 ? this.#queue.length : inTime),
      new RunnelError(
        "overloaded",
        "Cannot publish: the log is slower than its publishers. Nothing was stored; try again",
      ),
    );
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes;
      if (count > 0 && (bytes > MAX_COMMIT_BYTES || count === MAX_COMMIT_REQUESTS)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(batch: Waiting[]): Promise<void> {
    const { clock, random, timeoutMs } = this.#options;
    const until = clock.now() + timeoutMs;
    let plan: Plan | null = null;
    for (let tries = 0;; tries++) {
      this.#known ??= await this.#readHead(until);
      // A head that did not change admits no other commit between ours and
      // its repetition, so the same plan, token and all, is tried again.
      if (plan === null || plan.base.versionstamp !== this.#known.versionstamp) {
        const requests = await this.#answerRepeats(plan?.requests ?? batch, until);
        if (requests.length === 0) return;
        plan = this.#plan(this.#known, requests);
      }
      if (await this.#try(plan, until)) return this.#committed(plan);
      await wait(clock, random() * Math.min(2 ** tries, 50));
      if (clock.now() >= until) throw new Error("Other writers were faster every time");
    }
  }

  async #readHead(until: number): Promise<Known> {
    const entry = await this.#call(until, (kv) => kv.get<Head>(headKey(this.#pipeline)));
    return this.#knownFrom(entry);
  }

  #knownFrom({ value, versionstamp }: Deno.KvEntryMaybe<Head>): Known {
    return { head: value ?? newHead(mintEpoch(), this.#options.clock.now()), versionstamp };
  }

  /**
   * Answers the requests whose keys are on record and returns the others. The
   * records are read after the head that the commit checks: whoever writes one
   * in between changes the head.
   */
  async #answerRepeats(requests: Waiting[], until: number): Promise<Waiting[]> {
    const keyed = requests.filter((request) => request.once);
    if (keyed.length === 0) return requests;
    const reads = [];
    for (let i = 0; i < keyed.length; i += MAX_READ_KEYS) {
      const keys = keyed.slice(i, i + MAX_READ_KEYS)
        .map((request) => onceKey(this.#pipeline, request.once!.key));
      reads.push(this.#call(until, (kv) => kv.getMany<OnceRecord[]>(keys)));
    }
    const records = (await Promise.all(reads)).flat();
    const repeated = new Set<Waiting>();
    keyed.forEach((request, index) => {
      const record = records[index]?.value;
      if (!record || record.until <= this.#options.clock.now()) return;
      repeated.add(request);
      const { epoch, first, count, fingerprint } = record;
      if (fingerprint !== request.once!.fingerprint) request.answer.reject(keyReused());
      else request.answer.resolve({ epoch, first, count, replayed: true });
    });
    return requests.filter((request) => !repeated.has(request));
  }

  #plan(base: Known, requests: Waiting[]): Plan {
    const { clock, retention } = this.#options;
    const events = requests.flatMap((request) => request.events);
    const first = base.head.sequence + 1;
    // A clock that went back must not put an event before its predecessor.
    const time = Math.max(clock.now(), base.head.time);
    const token = crypto.getRandomValues(new BigUint64Array(1))[0]!;
    const segments = packSegments({ token, time, first }, events);
    const bytes = segments.reduce((sum, segment) => sum + segment.length, 0);
    const next = advanceHead(base.head, { count: events.length, bytes, time }, retention);
    const firstKey = segmentKey(this.#pipeline, readSegmentHeader(segments[0]!).last);
    return { base, token, next, segments, firstKey, requests };
  }

  /** Tries a commit once. Whether it stands; if that stays unknown, it throws. */
  async #try(plan: Plan, until: number): Promise<boolean> {
    this.#unsettled = plan;
    let failure: unknown = new Error("Another writer was faster");
    try {
      const result = await this.#call(until, (kv) => this.#atomic(kv, plan).commit());
      if (result.ok) {
        this.#known = { head: plan.next, versionstamp: result.versionstamp };
        this.#unsettled = null;
        return true;
      }
    } catch (error) {
      // `database is locked` among others: two writers of one file.
      failure = error;
    }
    if (this.#options.clock.now() >= until) throw failure;
    return await this.#settle(plan, until);
  }

  #atomic(kv: Kv, { base, next, segments, requests }: Plan): Deno.AtomicOperation {
    const key = headKey(this.#pipeline);
    const operation = kv.atomic()
      .check({ key, versionstamp: base.versionstamp })
      .set(key, next);
    for (const segment of segments) {
      operation.set(segmentKey(this.#pipeline, readSegmentHeader(segment).last), segment);
    }
    let first = base.head.sequence + 1;
    for (const { events, once } of requests) {
      if (once) {
        const record: OnceRecord = {
          until: next.time + KEY_LIFETIME_MS,
          fingerprint: once.fingerprint,
          epoch: next.epoch,
          first,
          count: events.length,
        };
        operation.set(onceKey(this.#pipeline, once.key), record, { expireIn: KEY_LIFETIME_MS });
      }
      first += events.length;
    }
    return operation;
  }

  /**
   * Asks the log whether a commit stands. Where neither its token is there nor
   * the head moved on, the commit may still come: then it stays unsettled.
   */
  async #settle(plan: Plan, until: number): Promise<boolean> {
    const keys = [headKey(this.#pipeline), plan.firstKey] as const;
    const [head, segment] = await this.#call(
      until,
      (kv) => kv.getMany<[Head, Uint8Array]>(keys),
    );
    const stands = segment.value !== null &&
      readSegmentHeader(segment.value).token === plan.token;
    this.#known = this.#knownFrom(head);
    // Where the segment would be trimmed by now, only a key can tell.
    if (!stands && head.value && head.value.oldest > Number(plan.firstKey.at(-1))) {
      this.#refuse(plan.requests.filter(({ once }) => !once), outcomeUnknown());
      plan.requests = plan.requests.filter(({ once }) => once);
    }
    if (stands || head.versionstamp !== plan.base.versionstamp) this.#unsettled = null;
    return stands;
  }

  /** Settles a commit that was given up, so that it can no longer come late. */
  async #settleForGood(plan: Plan): Promise<void> {
    const until = this.#options.clock.now() + this.#options.timeoutMs;
    while (this.#unsettled) {
      if (this.#options.clock.now() >= until) throw new Error("The log refuses every commit");
      if (await this.#settle(plan, until)) return this.#committed(plan);
      if (!this.#unsettled) return;
      // Writing the head anew makes the check of the late commit fail.
      const key = headKey(this.#pipeline);
      const { head, versionstamp } = plan.base;
      const result = await this.#call(
        until,
        (kv) => kv.atomic().check({ key, versionstamp }).set(key, head).commit(),
      );
      if (!result.ok) continue;
      this.#known = { head, versionstamp: result.versionstamp };
      this.#unsettled = null;
    }
  }

  #committed({ base, next, segments, requests }: Plan): void {
    const { epoch, oldest } = next;
    this.#options.onCommit({ pipeline: this.#pipeline, epoch, segments });
    if (oldest > base.head.oldest) this.#options.onTrim(this.#pipeline, oldest);
    let first = base.head.sequence + 1;
    for (const { events, answer } of requests) {
      answer.resolve({ epoch, first, count: events.length, replayed: false });
      first += events.length;
    }
  }

  /** A log that failed one commit fails those that wait, too: each is answered in time. */
  #fail(batch: Waiting[], cause: unknown): void {
    const unknown = this.#unsettled?.requests ?? [];
    this.#known = null;
    this.#refuse(unknown, outcomeUnknown(cause));
    this.#refuse(
      [...batch, ...this.#queue.splice(0)],
      new RunnelError(
        "log-unavailable",
        "Cannot publish: the log does not take events now. Nothing was stored; try again",
        { cause },
      ),
    );
  }

  #refuse(requests: Waiting[], error: RunnelError): void {
    for (const { answer } of requests) answer.reject(error);
  }

  async #pause(): Promise<void> {
    if (this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _timer = this.#options.clock.after(SETTLE_PAUSE_MS, resolve);
    await promise;
  }

  #call<T>(until: number, use: (kv: Kv) => Promise<T>): Promise<T> {
    return this.#options.kv.call(use, until - this.#options.clock.now());
  }
}

function draining(): RunnelError {
  return new RunnelError("draining", "Cannot publish: closing");
}

function outcomeUnknown(cause?: unknown): RunnelError {
  return new RunnelError(
    "outcome-unknown",
    "Cannot confirm the publish: the log did not answer in time, and the events may have been " +
      "stored. Publish them again with the same Idempotency-Key, and they are stored once",
    { cause },
  );
}

function keyReused(): RunnelError {
  return new RunnelError(
    "key-reused",
    "Cannot publish: this Idempotency-Key was used with other events. Use a new key",
  );
}
