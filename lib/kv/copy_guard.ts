/**
 * Notices that a KV server's store is copied to another one: what a process writes
 * from then on would be missing in the copy.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import { COPY_MARK, type CopyMark } from "./copy_mark.ts";
import type { StoreGuard } from "./file_guard.ts";
import { type Kv, KvConnection } from "./kv_connection.ts";

/** Interval between two looks for the mark of a copy, in milliseconds. */
export const COPY_LOOK_MS = 5000;

/** Deadline of a look, in milliseconds. */
const TIMEOUT_MS = 3000;

/**
 * Time after which no process writes to a store that was marked, in milliseconds: it looked for
 * the mark, and its commits in flight have ended.
 */
export const COPY_SETTLE_MS = 12_000;

/** Guard of the store of a KV server. */
export class CopyGuard implements StoreGuard {
  /** Error with which calls are refused; `null` while the store is not copied. */
  error: RunnelError | null = null;
  readonly #kv: KvConnection;
  readonly #runtime: Pick<Runtime, "clock" | "report">;
  #timer: Disposable | null = null;

  private constructor(kv: KvConnection, runtime: Pick<Runtime, "clock" | "report">) {
    this.#kv = kv;
    this.#runtime = runtime;
  }

  /**
   * Starts to guard a store, over a connection of its own.
   *
   * @throws The error of opening the store.
   */
  static async start(
    open: () => Promise<Kv>,
    runtime: Pick<Runtime, "clock" | "report">,
  ): Promise<CopyGuard> {
    // The connection of the log reports a store that fails.
    const quiet = { ...runtime, report() {} };
    const kv = await KvConnection.open({
      open,
      runtime: quiet,
      timeoutMs: TIMEOUT_MS,
      remote: true,
    });
    const guard = new CopyGuard(kv, runtime);
    guard.#timer = runtime.clock.every(COPY_LOOK_MS, () => guard.#look());
    return guard;
  }

  /** Does nothing: a look waits for the store, as the call does that follows. */
  async check(): Promise<void> {}

  async #look(): Promise<void> {
    let mark: CopyMark | null;
    try {
      ({ value: mark } = await this.#kv.call((kv) => kv.get<CopyMark>(COPY_MARK)));
    } catch {
      // The calls of the service fail as well, and tell of it.
      return;
    }
    const isCopied = mark?.role === "source";
    if (isCopied === (this.error !== null)) return;
    this.error = isCopied
      ? new RunnelError(
        "log-unavailable",
        "Cannot reach the log: it was moved to another store. Nothing was stored",
      )
      : null;
    this.#runtime.report(
      isCopied
        ? `The log is copied to ${mark!.other}: all requests that need it are refused. Stop this ` +
          "process, and start it on the copy"
        : "The copy of the log was given up: it is used again",
    );
  }

  /** Does work: a KV server is not replaced by this process. */
  suspend(work: () => Promise<void>): Promise<void> {
    return work();
  }

  /** Ends the looks. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#kv.close();
  }
}
