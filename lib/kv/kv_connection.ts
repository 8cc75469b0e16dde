/**
 * A connection to Deno KV that always answers: each call has a deadline, and a
 * remote connection that missed one is replaced.
 *
 * @module
 */

import { chunk, RunnelError, type Runtime, within } from "../base/mod.ts";

/** What is used of `Deno.Kv`, so that a test can put itself in between. */
export type Kv = Pick<Deno.Kv, "get" | "getMany" | "list" | "atomic" | "close">;

/** What is used of `Deno.Kv` to watch. */
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

/** How a {@linkcode KvConnection} is set up. */
export interface KvConnectionOptions {
  /** Opens the store. */
  open: () => Promise<Kv>;
  /** Clock used for timers and deadlines. */
  runtime: Pick<Runtime, "clock">;
  /** How long a call may take, in milliseconds. */
  timeoutMs: number;
  /**
   * Whether a connection that missed a deadline is replaced by a new one: for a
   * remote store, whose client never replaces a connection that froze. Not for
   * `:memory:`, where another connection is another database.
   */
  replace: boolean;
}

/** The one way to the store. */
export class KvConnection implements Disposable {
  readonly #options: KvConnectionOptions;
  /** Connections that were replaced, and the timers that will close them. */
  readonly #replaced = new Map<Promise<Kv>, Disposable>();
  #kv: Promise<Kv> | null;
  #closed = false;

  private constructor(options: KvConnectionOptions, kv: Kv) {
    this.#options = options;
    this.#kv = Promise.resolve(kv);
  }

  /**
   * Opens the store. A remote one has to answer in time.
   *
   * @param options How.
   * @throws {RunnelError} `log-unavailable` past the deadline.
   * @throws Whatever opening throws.
   *
   * @example
   * ```ts
   * import { systemRuntime } from "../base/mod.ts";
   *
   * using connection = await KvConnection.open({
   *   open: () => Deno.openKv(":memory:"),
   *   runtime: systemRuntime,
   *   timeoutMs: 3000,
   *   replace: false,
   * });
   * await connection.call((kv) => kv.get(["head", "p_aBcDeF"]));
   * ```
   */
  static async open(options: KvConnectionOptions): Promise<KvConnection> {
    const { open, runtime, timeoutMs, replace } = options;
    const opened = replace
      ? within(runtime.clock, timeoutMs, open(), () => late(timeoutMs))
      : open();
    return new KvConnection(options, await opened);
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
    const { runtime, replace } = this.#options;
    const timeoutMs = Math.min(ms, this.#options.timeoutMs);
    if (timeoutMs <= 0) throw late(0);
    const kv = this.#kv ??= this.#options.open();
    return await within(runtime.clock, timeoutMs, this.#use(kv, use), () => {
      // A deadline much shorter than its own says nothing of a connection.
      if (replace && timeoutMs >= this.#options.timeoutMs / 2) this.#retire(kv);
      return late(timeoutMs);
    });
  }

  async #use<T>(kv: Promise<Kv>, use: (kv: Kv) => Promise<T>): Promise<T> {
    let opened: Kv;
    try {
      opened = await kv;
    } catch (error) {
      // The next call opens the store anew.
      if (this.#kv === kv) this.#kv = null;
      throw error;
    }
    return await use(opened);
  }

  #retire(kv: Promise<Kv>): void {
    if (this.#kv !== kv || this.#closed) return;
    this.#kv = null;
    // By then every call on it has met its own deadline.
    const timer = this.#options.runtime.clock.after(this.#options.timeoutMs, () => this.#end(kv));
    this.#replaced.set(kv, timer);
  }

  #end(kv: Promise<Kv>): void {
    this.#replaced.get(kv)?.[Symbol.dispose]();
    this.#replaced.delete(kv);
    // A store that never opened needs no closing, and one that cannot be closed
    // is of no further use either way.
    kv.then((kv) => kv.close()).catch(() => {});
  }

  /** Closes the store. Calls under way fail, later ones too. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
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
    `Cannot reach the log: it did not answer within ${ms} ms. Try again`,
  );
}

function closed(): RunnelError {
  return new RunnelError("draining", "Cannot reach the log: it was closed");
}
