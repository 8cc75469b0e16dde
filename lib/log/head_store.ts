/**
 * The heads of pipelines in Deno KV: read by strong reads, minted for a first
 * subscriber, cleared. Commits write them, too.
 *
 * @module
 */

import { delay, type Runtime } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import { clearHead, type Head, mintEpoch, newHead } from "./head.ts";
import { headKey } from "./keys.ts";

/**
 * How long a pipeline that nobody wrote to keeps its epoch, in milliseconds. Its
 * subscribers come back within 29 hours at the latest, and renew it.
 */
const UNWRITTEN_LIFETIME_MS = 72 * 60 * 60 * 1000;

/** What a {@linkcode HeadStore} works with. */
export interface HeadStoreOptions {
  /** The store. */
  kv: KvConnection;
  /** Clock and random numbers. */
  runtime: Pick<Runtime, "clock" | "random">;
}

/**
 * The heads.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
 * import { systemRuntime as runtime } from "../base/mod.ts";
 * import { KvConnection } from "../kv/mod.ts";
 *
 * const open = () => Deno.openKv(":memory:");
 * using kv = await KvConnection.open({ open, runtime, timeoutMs: 3000, replace: false });
 * const heads = new HeadStore({ kv, runtime });
 * equal(await heads.read("p_aBcDeF"), null);
 * const head = await heads.ensureHead("p_aBcDeF");
 * deepEqual(await heads.read("p_aBcDeF"), head);
 * ```
 */
export class HeadStore {
  readonly #options: HeadStoreOptions;

  /**
   * Makes the way to the heads.
   *
   * @param options What it works with.
   */
  constructor(options: HeadStoreOptions) {
    this.#options = options;
  }

  /**
   * The head of a pipeline, by a strong read.
   *
   * @param pipeline Whose.
   * @returns The head, or `null` if nobody has written to or listened to it.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async read(pipeline: string): Promise<Head | null> {
    return (await this.#entry(pipeline)).value;
  }

  /**
   * The heads of some pipelines, as {@linkcode KvConnection.getMany} reads them.
   *
   * @param pipelines Whose.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  async readAll(pipelines: readonly string[]): Promise<(Head | null)[]> {
    const { kv } = this.#options;
    const entries = await kv.getMany<Head>(pipelines.map(headKey), { as: "log-unavailable" });
    return entries.map(({ value }) => value);
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
   * Clears a pipeline: gives up all its events so far.
   *
   * @param pipeline Whose.
   * @returns The head after the clear, or `null` if there is none.
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

  /** Writes a head unless it changed since it was read. Whether it was written. */
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
