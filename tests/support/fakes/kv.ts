/**
 * A store that fails by script, call by call.
 *
 * @module
 */

import type { Kv } from "../../../lib/kv/kv_connection.ts";
import { counted } from "../work_in_flight.ts";

/** A call that a test can make fail; `next` is one step of a list. */
export type KvCall = "get" | "getMany" | "next" | "commit";

/** Fault of a call: may carry out the call, replace its result, or both. */
export type Fault = (carryOut: () => Promise<unknown>) => Promise<unknown>;

/** Carries the call out. */
export const passThrough: Fault = (carryOut) => carryOut();

/** Neither carries the call out nor settles it. */
export const hang: Fault = () => new Promise(() => {});

/** Carries the call out and never settles. */
export const commitThenHang: Fault = async (carryOut) => {
  await carryOut();
  return await new Promise(() => {});
};

/** Reports that a check failed, and writes nothing. */
export const failCheck: Fault = () => Promise.resolve({ ok: false });

/** Commits, and reports that a check failed, as for a client that sent the commit twice. */
export const commitThenFailCheck: Fault = async (carryOut) => {
  await carryOut();
  return { ok: false };
};

/** The error of a file that another isolate is writing. */
export const databaseLocked = (): TypeError => new TypeError("database is locked");

/** Fails, and writes nothing. */
export function fail(error: () => Error = () => new Error("connection reset")): Fault {
  return () => Promise.reject(error());
}

/** Carries the call out and fails. */
export function commitThenFail(error: () => Error = () => new Error("connection reset")): Fault {
  return async (carryOut) => {
    await carryOut();
    throw error();
  };
}

/** Runs a function, then carries the call out. */
export function runThenPassThrough(run: () => Promise<unknown>): Fault {
  return async (carryOut) => {
    await run();
    return await carryOut();
  };
}

/** A call that waits until the test releases it. */
export interface PausedCall {
  fault: Fault;
  /** Resolves when a call has reached the fault. */
  reached: Promise<void>;
  /** Continues the call. */
  release: () => void;
  /** Resolves when the call was carried out, with its result. */
  done: Promise<unknown>;
}

/** Pauses a call before it is carried out, or before it returns. */
export function pause(what: "call" | "answer"): PausedCall {
  const [met, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const done = Promise.withResolvers<unknown>();
  const fault: Fault = async (carryOut) => {
    if (what === "answer") done.resolve(await carryOut());
    met.resolve();
    await released.promise;
    if (what === "call") done.resolve(await carryOut());
    return await done.promise;
  };
  return { fault, reached: met.promise, release: released.resolve, done: done.promise };
}

/** Entry that a commit set. */
export interface WrittenEntry {
  key: Deno.KvKey;
  expireIn: number | undefined;
}

/** Atomic operation that was committed, whether it was carried out or not. */
export interface CommittedOperation {
  checks: number;
  entries: { key: Deno.KvKey; value: unknown }[];
}

/** A store that wraps a real one. Without a script it behaves as the real one. */
export class FaultyKv implements Kv {
  /** The wrapped store. */
  readonly inner: Kv;
  /** Number of calls of each kind. */
  readonly calls: Record<KvCall, number> = { get: 0, getMany: 0, next: 0, commit: 0 };
  /** Entries of all commits, whether they were carried out or not. */
  readonly written: WrittenEntry[] = [];
  /** All commits, in the order in which they were called. */
  readonly operations: CommittedOperation[] = [];
  /** Number of commits that the wrapped store has made. */
  commits = 0;
  /** Number of calls in flight to the wrapped store. */
  busy = 0;
  /** Whether it was closed. */
  closed = false;
  /** Fault of each call after the script has ended. */
  fallback: (call: KvCall) => Fault = () => passThrough;
  readonly #scripts: Record<KvCall, Fault[]> = { get: [], getMany: [], next: [], commit: [] };

  /** @param inner The wrapped store; it is closed with this one. */
  constructor(inner: Kv) {
    this.inner = inner;
  }

  /** Number of all calls. */
  get totalCalls(): number {
    return Object.values(this.calls).reduce((total, count) => total + count, 0);
  }

  /** Sets the faults of the next calls of a kind, in order. */
  script(call: KvCall, ...faults: Fault[]): void {
    this.#scripts[call].push(...faults);
  }

  async #meet<T>(call: KvCall, carryOut: () => Promise<T>): Promise<T> {
    this.calls[call]++;
    const fault = this.#scripts[call].shift() ?? this.fallback(call);
    return await fault(async () => {
      this.busy++;
      try {
        return await carryOut();
      } finally {
        this.busy--;
      }
    }) as T;
  }

  get: Deno.Kv["get"] = (key, options) => this.#meet("get", () => this.inner.get(key, options));

  getMany: Deno.Kv["getMany"] = (keys, options) =>
    this.#meet("getMany", () => this.inner.getMany(keys, options));

  list: Deno.Kv["list"] = <T>(selector: Deno.KvListSelector, options?: Deno.KvListOptions) => {
    const iterator = this.inner.list<T>(selector, options);
    const next = iterator.next.bind(iterator);
    iterator.next = () => this.#meet("next", () => counted(next()));
    return iterator;
  };

  atomic(): Deno.AtomicOperation {
    const operation = this.inner.atomic();
    const [check, set, commit] = [operation.check, operation.set, operation.commit]
      .map((method) => method.bind(operation)) as [
        Deno.AtomicOperation["check"],
        Deno.AtomicOperation["set"],
        Deno.AtomicOperation["commit"],
      ];
    const record: CommittedOperation = { checks: 0, entries: [] };
    operation.check = (...checks) => {
      record.checks += checks.length;
      return check(...checks);
    };
    operation.set = (key, value, options) => {
      this.written.push({ key, expireIn: options?.expireIn });
      record.entries.push({ key, value });
      return set(key, value, options);
    };
    operation.commit = () => {
      this.operations.push(record);
      return this.#meet("commit", async () => {
        const result = await commit();
        if (result.ok) this.commits++;
        return result;
      });
    };
    return operation;
  }

  close(): void {
    this.closed = true;
    this.inner.close();
  }
}
