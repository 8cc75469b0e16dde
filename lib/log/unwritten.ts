/**
 * The heads of pipelines that nobody wrote to. Nothing is stored for them, so that
 * their subscribers cost no room: the epoch is derived from a secret of the store,
 * and all processes derive the same. The first event stores the head with it.
 *
 * An epoch must not come back with other events. The head of a pipeline that was
 * written is removed together with a step of a counter from which the epoch is
 * derived as well, and the first event checks that counter in its commit. All
 * pipelines share {@linkcode COUNTERS} counters, which bounds their records. A
 * step also changes the epoch of the other unwritten pipelines of that counter: if
 * they have subscribers, those receive a gap where nothing is missing.
 *
 * @module
 */

import { delay, type Runtime } from "../base/mod.ts";
import type { Kv } from "../kv/mod.ts";
import type { VersionedHead } from "./commit.ts";
import { EPOCH_BYTES, formatEpoch, type Head, newHead } from "./head.ts";
import { generationKey, headKey, SECRET_KEY } from "./keys.ts";

/** Number of counters, and so the maximum number of their records. */
export const COUNTERS = 16_384;

/** Calls the store with the deadline of the caller. */
export type Call = <T>(use: (kv: Kv) => Promise<T>) => Promise<T>;

/** The secret of a store. */
interface Secret {
  key: CryptoKey;
  versionstamp: string;
}

/** The counter of a pipeline, whose steps tell the logs apart that it had under one key. */
export interface Generation {
  /** Checks of a commit that is for this log alone, and for none that followed it. */
  checks: readonly Deno.AtomicCheck[];
  /** Key of the counter. */
  key: Deno.KvKey;
  /** Value of the counter once the head is removed. */
  next: number;
}

/** Reads the heads of pipelines, those of unwritten ones included. */
export class HeadReader {
  readonly #runtime: Pick<Runtime, "clock" | "random">;
  #secret: Secret | null = null;

  /** @param runtime Clock and random numbers, for jitter. */
  constructor(runtime: Pick<Runtime, "clock" | "random">) {
    this.#runtime = runtime;
  }

  /**
   * Reads the head of a pipeline with the checks that a commit after it must make.
   *
   * @throws The error of the store.
   */
  async read(call: Call, pipeline: string): Promise<VersionedHead> {
    const key = headKey(pipeline);
    const { value, versionstamp } = await call((kv) => kv.get<Head>(key));
    if (value) return { head: value, checks: [{ key, versionstamp }] };
    // One snapshot: what is derived holds for as long as none of the three changes.
    const { secret, generation, entries } = await this.#snapshot(call, pipeline);
    const [head] = entries;
    if (head.value) {
      return { head: head.value, checks: [{ key, versionstamp: head.versionstamp }] };
    }
    const epoch = await sign(secret, `${generation} ${pipeline}`);
    return {
      head: newHead(formatEpoch(epoch.subarray(0, EPOCH_BYTES)), 0),
      checks: entries.map(({ key, versionstamp }) => ({ key, versionstamp })),
    };
  }

  /**
   * Reads the counter of a pipeline, which steps whenever the head of the pipeline
   * is removed.
   *
   * @throws The error of the store.
   */
  async generation(call: Call, pipeline: string): Promise<Generation> {
    const { generation, entries: [, secret, counter] } = await this.#snapshot(call, pipeline);
    return { checks: [secret, counter], key: counter.key, next: generation + 1 };
  }

  async #snapshot(call: Call, pipeline: string) {
    while (true) {
      const secret = this.#secret ??= await this.#loadSecret(call);
      const digest = await sign(secret, pipeline);
      const counter = new DataView(digest.buffer).getUint16(0) % COUNTERS;
      const keys = [headKey(pipeline), SECRET_KEY, generationKey(counter)] as const;
      const entries = await call((kv) => kv.getMany<[Head, Uint8Array, number]>(keys));
      if (entries[1].versionstamp === secret.versionstamp) {
        return { secret, generation: entries[2].value ?? 0, entries };
      }
      // A restored store has another secret.
      this.#secret = null;
    }
  }

  /** Reads the secret, and creates it in a store without one. */
  async #loadSecret(call: Call): Promise<Secret> {
    while (true) {
      const [{ value, versionstamp }] = await call((kv) => kv.getMany<[Uint8Array]>([SECRET_KEY]));
      if (value) return { key: await importSecret(value), versionstamp };
      const { clock, random } = this.#runtime;
      if (!await call(createSecret)) await delay(clock, random() * 10);
    }
  }
}

/** Creates the secret, unless another writer is faster. Returns whether it was created. */
async function createSecret(kv: Kv): Promise<boolean> {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const check = { key: SECRET_KEY, versionstamp: null };
  try {
    return (await kv.atomic().check(check).set(SECRET_KEY, secret).commit()).ok;
  } catch (error) {
    if (isLocked(error)) return false;
    throw error;
  }
}

function importSecret(bytes: Uint8Array): Promise<CryptoKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("raw", bytes as BufferSource, algorithm, false, ["sign"]);
}

/** Whether an error says that another writer of the same file was faster. */
export function isLocked(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("locked");
}

/**
 * Replaces the secret of a store, so that every pipeline without events has a new
 * epoch: for a store that was restored, which lacks what was written in between.
 */
export async function replaceSecret(kv: Pick<Kv, "atomic">): Promise<void> {
  await kv.atomic().set(SECRET_KEY, crypto.getRandomValues(new Uint8Array(32))).commit();
}

async function sign({ key }: Secret, text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)));
}
