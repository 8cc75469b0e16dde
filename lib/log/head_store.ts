/**
 * The heads of pipelines in Deno KV: reads them by strong reads, and clears them.
 * Commits write them, too.
 *
 * @module
 */

import { delay, RunnelError, type Runtime } from "../base/mod.ts";
import { type DiskReserve, isDiskFull, type KvConnection } from "../kv/mod.ts";
import type { VersionedHead } from "./commit.ts";
import type { Deletion } from "./deletions.ts";
import {
  clearHead,
  deleteHead,
  type Head,
  isDeleted,
  lastUse,
  newHead,
  UNWRITTEN_LIFETIME_MS,
} from "./head.ts";
import { deletionKey, headKey } from "./keys.ts";
import { type HeadReader, isLocked } from "./unwritten.ts";

/** Age of a lease, or of the newest event, from which on a lease is renewed, in milliseconds. */
const LEASE_RENEWAL_MS = 12 * 60 * 60 * 1000;

/** Options for {@linkcode HeadStore}. */
export interface HeadStoreOptions {
  /** The store. */
  kv: KvConnection;
  /** Reader of the heads, those of unwritten pipelines included. */
  headReader: HeadReader;
  /** Room on the disk of the store for deletions, if there is any. */
  reserve?: Pick<DiskReserve, "release"> | undefined;
  /** Clock for the age of heads, random numbers for jitter, and reporter. */
  runtime: Runtime;
  /**
   * Called with the head of a pipeline that is about to have a subscriber, and with the
   * checks of a commit that follows it; not with one that is going to be renewed.
   */
  onEnsured?: ((pipeline: string, head: VersionedHead) => void) | undefined;
}

/** The heads of all pipelines of a store. */
export class HeadStore {
  readonly #options: HeadStoreOptions;

  constructor(options: HeadStoreOptions) {
    this.#options = options;
  }

  /**
   * Reads the head of a pipeline by a strong read.
   *
   * @returns The head, or `null` if the pipeline has no event.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async read(pipeline: string): Promise<Head | null> {
    return (await this.#entry(pipeline)).value;
  }

  /**
   * Reads the heads of some pipelines, as {@linkcode KvConnection.getMany} does.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async readAll(pipelines: readonly string[]): Promise<(Head | null)[]> {
    const { kv } = this.#options;
    const entries = await kv.getMany<Head>(pipelines.map(headKey), { as: "log-unavailable" });
    return entries.map(({ value }) => value);
  }

  /**
   * Returns the head of a pipeline, or the one that its first event will follow:
   * for a pipeline that is about to have a subscriber. So the very first subscriber
   * has an epoch, and with it a position from which it can resume. A head without
   * events that an older version stored is renewed, because it would expire.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async ensureHead(pipeline: string): Promise<Head> {
    const { headReader, kv, runtime: { clock } } = this.#options;
    while (true) {
      const read = await headReader.read(
        (use) => kv.call(use, { as: "log-unavailable" }),
        pipeline,
      );
      const { head, checks } = read;
      const [{ key, versionstamp }] = checks as [Deno.AtomicCheck];
      const now = clock.now();
      if (isDeleted(head) && now - lastUse(head) >= LEASE_RENEWAL_MS) {
        // If the head was removed meanwhile, it has another epoch now.
        if (await this.#leaveLease({ key, versionstamp }, { ...head, seen: now })) return head;
        continue;
      }
      if (head.sequence > 0 || versionstamp === null) {
        this.#options.onEnsured?.(pipeline, read);
        return head;
      }
      if (now - head.time < UNWRITTEN_LIFETIME_MS / 2) return head;
      const unwritten = newHead(head.epoch, now);
      if (await this.#swap({ key, versionstamp }, unwritten, { expireIn: UNWRITTEN_LIFETIME_MS })) {
        return unwritten;
      }
    }
  }

  /**
   * Clears a pipeline: none of its events so far is retained.
   *
   * @returns The head after the clear, or `null` if the pipeline has no head.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async clear(pipeline: string): Promise<Head | null> {
    while (true) {
      const entry = await this.#entry(pipeline);
      const head = entry.value;
      if (head === null || head.oldest > head.sequence) return head;
      const cleared = clearHead(head);
      if (await this.#makeRoomFor(() => this.#swap(entry, cleared))) return cleared;
    }
  }

  /**
   * Deletes a pipeline: no event so far is retained, and a new epoch begins. The
   * same commit stores the job that removes what is left.
   *
   * @param isDue Whether the pipeline is to be deleted with the head that it has.
   * @returns The head after the deletion; `null` if nothing was to be deleted.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async delete(pipeline: string, isDue: (head: Head) => boolean): Promise<Head | null> {
    while (true) {
      const entry = await this.#entry(pipeline);
      const head = entry.value;
      if (head === null || head.sequence === 0 || !isDue(head)) return null;
      // What is left of one that was deleted before may have been left for a subscriber.
      const deleted = isDeleted(head) ? head : deleteHead(head);
      const job: Deletion = { epoch: deleted.epoch, below: deleted.oldest };
      if (await this.#makeRoomFor(() => this.#swap(entry, deleted, { job }))) return deleted;
    }
  }

  /**
   * Renews the leases of subscribers, for pipelines that were not written for half
   * a day: others must not take them for unused.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async renewLeases(pipelines: readonly string[]): Promise<void> {
    const { kv, runtime: { clock } } = this.#options;
    const entries = await kv.getMany<Head>(pipelines.map(headKey), { as: "log-unavailable" });
    for (const entry of entries) {
      const head = entry.value;
      const now = clock.now();
      if (!head || head.sequence === 0 || now - lastUse(head) < LEASE_RENEWAL_MS) continue;
      // Whoever is faster has written the pipeline, or renewed its lease.
      await this.#swap(entry, { ...head, seen: now });
    }
  }

  /** Keeps a deleted pipeline from being removed. Returns false if its head has changed. */
  async #leaveLease(entry: Deno.AtomicCheck, head: Head): Promise<boolean> {
    try {
      return await this.#swap(entry, head);
    } catch (error) {
      // Without it the subscriber may receive one more gap, and with a full disk it can still read.
      this.#options.runtime.report("Cannot leave the lease of a subscriber", error);
      return true;
    }
  }

  async #entry(pipeline: string): Promise<Deno.KvEntryMaybe<Head>> {
    const { kv } = this.#options;
    return await kv.call((kv) => kv.get<Head>(headKey(pipeline)), { as: "log-unavailable" });
  }

  /** Removes something, on a full disk with the room that is kept for that. */
  async #makeRoomFor(remove: () => Promise<boolean>): Promise<boolean> {
    try {
      return await remove();
    } catch (error) {
      const isFull = error instanceof RunnelError && isDiskFull(error.cause);
      if (!isFull || !await this.#options.reserve?.release()) throw error;
      return await remove();
    }
  }

  /** Writes a head unless it changed since it was read. Returns whether it was written. */
  async #swap(
    { key, versionstamp }: Deno.AtomicCheck,
    head: Head,
    { job, ...options }: { expireIn?: number; job?: Deletion } = {},
  ): Promise<boolean> {
    const { kv, runtime: { clock, random } } = this.#options;
    const written = await kv.call(async (kv) => {
      try {
        const operation = kv.atomic().check({ key, versionstamp }).set(key, head, options);
        if (job) operation.set(deletionKey(key[1] as string), job);
        return (await operation.commit()).ok;
      } catch (error) {
        // Two writers of one file: the other form of contention.
        if (isLocked(error)) return false;
        throw error;
      }
    }, { as: "log-unavailable" });
    if (!written) await delay(clock, random() * 10);
    return written;
  }
}
