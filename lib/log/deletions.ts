/**
 * Removes the records of deleted pipelines in the background.
 *
 * The commit that deletes a pipeline gives it a new epoch, under which nothing is
 * retained and sequences go on, and stores a job. Segments bear no epoch, so the
 * head goes last: with the head alone removed, the next event would bring the old
 * text back. A job outlives the process, and every step of it checks that the job
 * is still the same, so that any number of processes may carry it out, and none of
 * them late.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Kv, KvConnection } from "../kv/mod.ts";
import { type Head, isDeleted, lastUse } from "./head.ts";
import type { IdempotencyRecord } from "./idempotency.ts";
import { DELETIONS, headKey, idempotencyKeysFrom, segmentsBelow } from "./keys.ts";
import type { HeadReader } from "./unwritten.ts";

/** A job: what is left of a pipeline that was deleted. */
export interface Deletion {
  /** Epoch of the pipeline since it was deleted. */
  epoch: string;
  /** Sequence below which everything is deleted. */
  below: number;
}

/** Jobs that are carried out at once. */
const MAX_JOBS = 500;

/** Maximum number of records deleted in one commit. Deno KV takes 100 checks. */
const DELETE_SIZE = 90;

/** Maximum number of records read for one commit. */
const MAX_READS = 1000;

/** Segments read at once: Deno KV's default of 100 would be 6 MiB at worst. */
const READ_SIZE = 64;

/**
 * Time between the sweep of a pipeline and the removal of its head, in
 * milliseconds, in which subscribers in any process learn of the new epoch and
 * leave a lease. Reads and commits that began before the deletion have ended then.
 */
export const GRACE_MS = 10_000;

/** Pause after which jobs that failed are tried again, in milliseconds. */
const RETRY_MS = 60_000;

/** Time for which a lease of a subscriber is good, in milliseconds. It is renewed far sooner. */
export const LEASE_MS: number = 48 * 60 * 60 * 1000;

/** Options for {@linkcode Deletions}. */
export interface DeletionsOptions {
  /** The store. */
  kv: KvConnection;
  /** Reader of the heads, which knows the counters of unwritten pipelines. */
  headReader: HeadReader;
  /** Clock, and reporter of jobs that failed. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Deadline of a call of the store, in milliseconds. */
  timeoutMs: number;
}

type Job = Deno.KvEntry<Deletion>;

/** The jobs of a store. */
export class Deletions {
  readonly #options: DeletionsOptions;
  #running: Promise<void> | null = null;
  #wasWoken = false;
  #closed = false;
  #endWait = () => {};

  constructor(options: DeletionsOptions) {
    this.#options = options;
  }

  /** Whether jobs are being carried out. */
  get busy(): boolean {
    return this.#running !== null;
  }

  /** Carries out all jobs of the store, those of others and of before a crash included. */
  wake(): void {
    this.#wasWoken = true;
    if (this.#closed) return;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#wasWoken && !this.#closed) {
      this.#wasWoken = false;
      try {
        if (await this.#pass()) this.#wasWoken = true;
      } catch (error) {
        if (this.#closed) break;
        this.#options.runtime.report("Cannot delete what is left of deleted pipelines", error);
        this.#wasWoken = true;
        await this.#wait(RETRY_MS);
      }
    }
    // In the same turn as the last look at what woke it.
    this.#running = null;
  }

  /** Carries out some jobs. Returns whether there were any. */
  async #pass(): Promise<boolean> {
    const { kv, timeoutMs } = this.#options;
    const jobs = await kv.call((kv) => {
      return Array.fromAsync(kv.list<Deletion>({ prefix: DELETIONS }, { limit: MAX_JOBS }));
    });
    if (jobs.length === 0) return false;
    for (const job of jobs) await this.#sweep(job);
    await this.#wait(Math.max(GRACE_MS, 2 * timeoutMs));
    for (const job of jobs) await this.#finish(job);
    return true;
  }

  /** Deletes the segments and the idempotency records of a pipeline. */
  async #sweep(job: Job): Promise<void> {
    const pipeline = job.key[1] as string;
    const { below } = job.value;
    const isOld = (value: unknown) => (value as IdempotencyRecord).first < below;
    await this.#deleteAll(job, () => segmentsBelow(pipeline, below), () => true);
    await this.#deleteAll(job, (from) => idempotencyKeysFrom(pipeline, from), isOld);
  }

  async #deleteAll(
    job: Job,
    select: (from: Deno.KvKey | null) => Deno.KvListSelector,
    isDue: (value: unknown) => boolean,
  ): Promise<void> {
    let from: Deno.KvKey | null = null;
    do {
      const selector = select(from);
      from = await this.#options.kv.call((kv) => deleteSome(kv, job, selector, isDue));
    } while (from && !this.#closed);
  }

  /** Removes the head of a pipeline that is still deleted and has no subscriber, and ends the job. */
  async #finish(job: Job): Promise<void> {
    if (this.#closed) return;
    const { kv, headReader, runtime: { clock } } = this.#options;
    const pipeline = job.key[1] as string;
    const { checks, key, next } = await headReader.generation((use) => kv.call(use), pipeline);
    await kv.call(async (kv) => {
      const head = await kv.get<Head>(headKey(pipeline));
      const operation = kv.atomic().check(job).delete(job.key);
      const isLeft = head.value?.epoch === job.value.epoch && isDeleted(head.value) &&
        clock.now() - lastUse(head.value) > LEASE_MS;
      if (isLeft) operation.check(head, ...checks).delete(head.key).set(key, next);
      // If the head changed meanwhile, the job is carried out once more.
      await operation.commit();
    });
  }

  async #wait(ms: number): Promise<void> {
    if (this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endWait = resolve;
    using _timer = this.#options.runtime.clock.after(ms, resolve);
    await promise;
  }

  /** Stops, and resolves when the step in progress has ended. The jobs that are left stay stored. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#endWait();
    await this.#running;
  }
}

/**
 * Deletes some of the records of a pipeline.
 *
 * @returns The key from which on there may be more; `null` if there are none, or
 *   if the job was carried out by another process.
 */
async function deleteSome(
  kv: Kv,
  job: Job,
  selector: Deno.KvListSelector,
  isDue: (value: unknown) => boolean,
): Promise<Deno.KvKey | null> {
  // Once the job is done, the same keys may belong to new events.
  const operation = kv.atomic().check(job);
  let [read, due] = [0, 0];
  let first: Deno.KvKey | null = null;
  let next: Deno.KvKey | null = null;
  for await (const { key, value, versionstamp } of kv.list(selector, { batchSize: READ_SIZE })) {
    if (read === MAX_READS || due === DELETE_SIZE) {
      next = key;
      break;
    }
    read++;
    first ??= key;
    if (!isDue(value)) continue;
    due++;
    // The key may be used again between its read and its deletion.
    operation.check({ key, versionstamp }).delete(key);
  }
  if (due === 0 || (await operation.commit()).ok) return next;
  const { versionstamp } = await kv.get(job.key);
  return versionstamp === job.versionstamp ? first : null;
}
