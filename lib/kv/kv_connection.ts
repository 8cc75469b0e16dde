/**
 * A connection to Deno KV that always answers: each call has a deadline, and a
 * remote connection that missed one is replaced.
 *
 * @module
 */

import { chunk, deadline, RunnelError, type Runtime } from "../base/mod.ts";
import { CallGate } from "./call_gate.ts";
import { CallHealth } from "./call_health.ts";
import type { StoreGuard } from "./file_guard.ts";

/** Part of `Deno.Kv` that calls use, so that a test can replace it. */
export type Kv = Pick<Deno.Kv, "get" | "getMany" | "list" | "atomic" | "close">;

/** Part of `Deno.Kv` that watches use. */
export type WatchKv = Pick<Deno.Kv, "watch" | "close">;

/** Maximum number of keys that Deno KV reads or watches in one call. */
export const MAX_KEYS = 10;

/** Reads of one {@linkcode KvConnection.getMany} in flight: those of the largest commit. */
const MAX_READS = 40;

/** Options for {@linkcode KvConnection.call} and {@linkcode KvConnection.getMany}. */
export interface CallOptions {
  /**
   * Deadline of the caller, in milliseconds; the connection's own applies if it
   * is sooner.
   *
   * @default {Infinity}
   */
  ms?: number | undefined;
  /**
   * Type of error that replaces every error of the store, for calls whose
   * errors clients receive: to them the log is unavailable, whatever happened.
   *
   * @default {undefined}
   */
  as?: "log-unavailable";
}

/** Options for {@linkcode KvConnection.open}. */
export interface KvConnectionOptions {
  /** Opens a connection to the store. */
  open: () => Promise<Kv>;
  /** Clock used for timers and deadlines, and reporter of a store that fails. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Deadline of a call, in milliseconds. */
  timeoutMs: number;
  /**
   * Whether the store is reached over a network. Then a connection that missed a
   * deadline is replaced by a new one, because the client of the store never
   * replaces a frozen connection.
   */
  remote: boolean;
  /**
   * Starts the guard of the store, once it is open. Its error refuses all calls.
   *
   * @default {null}
   */
  guard?: (() => Promise<StoreGuard>) | null;
  /** Called when a call misses its deadline. */
  onTimeout?: () => void;
}

/** A connection to the store. All reads and commits of an isolate go through one. */
export class KvConnection implements Disposable {
  readonly #options: KvConnectionOptions;
  /** Connections that were replaced, with the timers that will close them. */
  readonly #replaced = new Map<Promise<Kv>, Disposable>();
  readonly #guard: StoreGuard | null;
  readonly #gate = new CallGate();
  readonly #health: CallHealth;
  #kv: Promise<Kv> | null;
  #closed = false;

  private constructor(options: KvConnectionOptions, kv: Kv, guard: StoreGuard | null) {
    this.#options = options;
    this.#kv = Promise.resolve(kv);
    this.#guard = guard;
    this.#health = new CallHealth(options.runtime);
  }

  /**
   * Opens the store. A remote store has to answer in time.
   *
   * @throws {RunnelError} `log-unavailable` past the deadline.
   * @throws Whatever opening throws.
   */
  static async open(options: KvConnectionOptions): Promise<KvConnection> {
    const { open, runtime, timeoutMs, remote, guard } = options;
    const kv =
      await (remote ? deadline(runtime.clock, timeoutMs, open(), () => late(timeoutMs)) : open());
    return new KvConnection(options, kv, await guard?.() ?? null);
  }

  /** Whether the store is reached over a network. */
  get remote(): boolean {
    return this.#options.remote;
  }

  /** Time since the store fails, in milliseconds; 0 while it works. */
  get outageMs(): number {
    return this.#health.outageMs;
  }

  /**
   * Throws if the store is known to be another one than was opened.
   *
   * @throws {RunnelError} `log-unavailable`.
   */
  assertUsable(): void {
    if (this.#guard?.error) throw this.#guard.error;
  }

  /**
   * Checks that the store is still the one that was opened.
   *
   * @throws {RunnelError} `log-unavailable`.
   */
  async verify(): Promise<void> {
    await this.#guard?.check();
    this.assertUsable();
  }

  /**
   * Makes one call. Past the deadline its outcome is unknown: the store may
   * still carry it out.
   *
   * @throws {RunnelError} `log-unavailable` past the deadline; `draining` once closed.
   * @throws Whatever `use` throws, unless {@linkcode CallOptions.as} replaces it.
   */
  async call<T>(use: (kv: Kv) => Promise<T>, { ms, as }: CallOptions = {}): Promise<T> {
    try {
      return await this.#call(use, ms);
    } catch (cause) {
      const isOwn = cause instanceof RunnelError && cause.type !== "storage-unusable";
      if (as === undefined || isOwn) throw cause;
      throw new RunnelError(as, "Cannot reach the log. Try again", { cause });
    }
  }

  /**
   * Reads any number of keys, by strong reads of {@linkcode MAX_KEYS} keys, each
   * a call of its own. An error ends it.
   *
   * @returns The entries, in the order of the keys.
   */
  async getMany<T>(
    keys: readonly Deno.KvKey[],
    options?: CallOptions,
  ): Promise<Deno.KvEntryMaybe<T>[]> {
    const entries: Deno.KvEntryMaybe<T>[] = [];
    for (const reads of chunk([...chunk(keys, MAX_KEYS)], MAX_READS)) {
      const read = (keys: readonly Deno.KvKey[]) =>
        this.call((kv) => kv.getMany<T[]>(keys), options);
      entries.push(...(await Promise.all(reads.map(read))).flat());
    }
    return entries;
  }

  async #call<T>(use: (kv: Kv) => Promise<T>, ms: number = Infinity): Promise<T> {
    if (this.#closed) throw closed();
    this.assertUsable();
    const { runtime, remote } = this.#options;
    const timeoutMs = Math.min(ms, this.#options.timeoutMs);
    if (timeoutMs <= 0) throw late(0);
    let kv: Promise<Kv> | null = null;
    // Opened behind the gate only: a connection from within {@linkcode exclusive} would be
    // to the file that is replaced, and nothing would close it.
    const made = this.#gate.run(() => this.#use(kv = this.#kv ??= this.#options.open(), use));
    try {
      const value = await deadline(runtime.clock, timeoutMs, made, () => {
        this.#options.onTimeout?.();
        // A deadline much shorter than its own says nothing about the connection.
        if (remote && kv && timeoutMs >= this.#options.timeoutMs / 2) this.#retire(kv);
        return late(timeoutMs);
      });
      this.#health.answered();
      return value;
    } catch (error) {
      // A deadline that was nearly over says nothing about the store.
      const isShort = timeoutMs < this.#options.timeoutMs / 4;
      if (!this.#closed && !isShort) this.#health.failed(error);
      throw error;
    }
  }

  async #use<T>(kv: Promise<Kv>, use: (kv: Kv) => Promise<T>): Promise<T> {
    let opened: Kv;
    try {
      opened = await kv;
    } catch (error) {
      // The next call opens the store again.
      if (this.#kv === kv) this.#kv = null;
      throw error;
    }
    return await use(opened);
  }

  /**
   * Closes the store for work on its file, and opens it again. Calls that come
   * meanwhile wait, within their deadlines.
   *
   * @throws {Error} If the calls in flight do not end in time.
   * @throws Whatever `work` throws, or opening.
   */
  async exclusive(work: () => Promise<void>): Promise<void> {
    const { runtime: { clock }, timeoutMs, open } = this.#options;
    await this.#gate.exclusive(clock, timeoutMs, async () => {
      this.assertUsable();
      const kv = this.#kv;
      this.#kv = null;
      (await kv)?.close();
      const reopen = async () => {
        try {
          await work();
        } finally {
          if (!this.#closed) await (this.#kv = open());
        }
      };
      await (this.#guard ? this.#guard.suspend(reopen) : reopen());
    });
  }

  #retire(kv: Promise<Kv>): void {
    if (this.#kv !== kv || this.#closed) return;
    this.#kv = null;
    // By then the deadline of every call on it has passed.
    const timer = this.#options.runtime.clock.after(this.#options.timeoutMs, () => this.#end(kv));
    this.#replaced.set(kv, timer);
  }

  #end(kv: Promise<Kv>): void {
    this.#replaced.get(kv)?.[Symbol.dispose]();
    this.#replaced.delete(kv);
    // A store that never opened needs no closing, and one that cannot be closed
    // is not used again either way.
    kv.then((kv) => kv.close()).catch(() => {});
  }

  /** Closes the store. Calls in progress fail, and so do later ones. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#guard?.[Symbol.dispose]();
    for (const kv of this.#replaced.keys()) this.#end(kv);
    if (this.#kv) this.#end(this.#kv);
    this.#kv = null;
  }

  /** Calls {@linkcode KvConnection.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function late(ms: number): RunnelError {
  return new RunnelError(
    "log-unavailable",
    `Cannot reach the log: it did not answer within ${Math.round(ms)} ms. Try again`,
  );
}

function closed(): RunnelError {
  return new RunnelError("draining", "Cannot reach the log: it was closed");
}
