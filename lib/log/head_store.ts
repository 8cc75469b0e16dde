/**
 * The heads of pipelines in Deno KV: reads them by strong reads, creates them
 * for first subscribers, and clears them. Commits write them, too.
 *
 * @module
 */

import { delay, type Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import { clearHead, type Head, mintEpoch, newHead } from "./head.ts";
import { headKey } from "./keys.ts";

/**
 * Lifetime of the head of a pipeline without events, in milliseconds. Its
 * subscribers reconnect within 29 hours at the latest, and renew it.
 */
const UNWRITTEN_LIFETIME_MS = 72 * 60 * 60 * 1000;

/** Options for {@linkcode HeadStore}. */
export interface HeadStoreOptions {
  /** The store. */
  kv: KvConnection;
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
   * @returns The head, or `null` if the pipeline never had a publisher or subscriber.
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
   * Returns the head of a pipeline, and creates it if it is missing: for a
   * pipeline that is about to have a subscriber. So the very first subscriber has
   * an epoch, and with it a position from which it can resume. A head without
   * events expires three days after the last call that renewed it.
   *
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async ensureHead(pipeline: string): Promise<Head> {
    const now = this.#options.runtime.clock.now();
    while (true) {
      const entry = await this.#entry(pipeline);
      const head = entry.value;
      if (head && (head.sequence > 0 || now - head.time < UNWRITTEN_LIFETIME_MS / 2)) return head;
      const unwritten = newHead(head?.epoch ?? mintEpoch(), now);
      if (await this.#swap(entry, unwritten, UNWRITTEN_LIFETIME_MS)) return unwritten;
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
    { key, versionstamp }: Deno.KvEntryMaybe<Head>,
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
        if (error instanceof TypeError && error.message.includes("locked")) return false;
        throw error;
      }
    }, { as: "log-unavailable" });
    if (!written) await delay(clock, random() * 10);
    return written;
  }
}
