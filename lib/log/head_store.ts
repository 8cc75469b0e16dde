/**
 * The heads of pipelines in Deno KV: reads them by strong reads, and clears them.
 * Commits write them, too.
 *
 * @module
 */

import { delay, type Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import { clearHead, type Head, newHead, UNWRITTEN_LIFETIME_MS } from "./head.ts";
import { headKey } from "./keys.ts";
import { type HeadReader, isLocked } from "./unwritten.ts";

/** Options for {@linkcode HeadStore}. */
export interface HeadStoreOptions {
  /** The store. */
  kv: KvConnection;
  /** Reader of the heads, those of unwritten pipelines included. */
  headReader: HeadReader;
  /** Clock for the age of heads, and random numbers for jitter. */
  runtime: Pick<Runtime, "clock" | "random">;
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
      const { head, checks } = await headReader.read(
        (use) => kv.call(use, { as: "log-unavailable" }),
        pipeline,
      );
      const [{ key, versionstamp }] = checks as [Deno.AtomicCheck];
      const now = clock.now();
      const isRenewed = now - head.time < UNWRITTEN_LIFETIME_MS / 2;
      if (head.sequence > 0 || versionstamp === null || isRenewed) return head;
      const unwritten = newHead(head.epoch, now);
      if (await this.#swap({ key, versionstamp }, unwritten, UNWRITTEN_LIFETIME_MS)) {
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
      if (await this.#swap(entry, cleared)) return cleared;
    }
  }

  async #entry(pipeline: string): Promise<Deno.KvEntryMaybe<Head>> {
    const { kv } = this.#options;
    return await kv.call((kv) => kv.get<Head>(headKey(pipeline)), { as: "log-unavailable" });
  }

  /** Writes a head unless it changed since it was read. Returns whether it was written. */
  async #swap(
    { key, versionstamp }: Deno.AtomicCheck,
    head: Head,
    expireIn?: number,
  ): Promise<boolean> {
    const { kv, runtime: { clock, random } } = this.#options;
    const options = expireIn === undefined ? {} : { expireIn };
    const written = await kv.call(async (kv) => {
      try {
        return (await kv.atomic().check({ key, versionstamp }).set(key, head, options).commit()).ok;
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
