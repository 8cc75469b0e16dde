/**
 * A store that fails by script, call by call.
 *
 * @module
 */

import type { Kv } from "../../../lib/kv/kv_connection.ts";

/** A call that a test can make go wrong; `next` is one step of a list. */
export type KvCall = "get" | "getMany" | "next" | "commit";

/** Fault of a call: may carry out the call, answer in its place, or both. */
export type Fault = (carryOut: () => Promise<unknown>) => Promise<unknown>;

/** Carries the call out. */
export const passThrough: Fault = (carryOut) => carryOut();

/** Neither carries the call out nor answers it. */
export const hang: Fault = () => new Promise(() => {});

/** Carries the call out and never answers. */
export const commitThenHang: Fault = async (carryOut) => {
  await carryOut();
  return await new Promise(() => {});
};

/** Reports that a check failed, and carries nothing out. */
export const failCheck: Fault = () => Promise.resolve({ ok: false });

/** Commits, and reports that a check failed, as for a client that sent the commit twice. */
export const commitThenFailCheck: Fault = async (carryOut) => {
  await carryOut();
  return { ok: false };
};

/** The error of a file that another isolate is writing. */
export const databaseLocked = (): TypeError => new TypeError("database is locked");

/** Fails and carries nothing out. */
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

/** Runs something, then carries the call out. */
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

/** Pauses a call before it is carried out, or its answer. */
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

/** An entry that a commit set. */
export interface WrittenEntry {
  key: Deno.KvKey;
  expireIn: number | undefined;
}

/** A store between a test and a real one. Without a script it is the real one. */
export class FaultyKv implements Kv {
  /** The store underneath. */
  readonly inner: Kv;
  /** How often each call was made. */
  readonly calls: Record<KvCall, number> = { get: 0, getMany: 0, next: 0, commit: 0 };
  /** What was set in commits, whether they were carried out or not. */
  readonly written: WrittenEntry[] = [];
  /** How many commits the store underneath has made. */
  commits = 0;
  /** How many calls the store underneath is at. */
  busy = 0;
  /** Whether it was closed. */
  closed = false;
  /** Fault of each call after the script has ended. */
  fallback: (call: KvCall) => Fault = () => passThrough;
  readonly #scripts: Record<KvCall, Fault[]> = { get: [], getMany: [], next: [], commit: [] };

  /** @param inner The store underneath; it is closed with this one. */
  constructor(inner: Kv) {
    this.inner = inner;
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
    iterator.next = () => this.#meet("next", next);
    return iterator;
  };

  atomic(): Deno.AtomicOperation {
    const operation = this.inner.atomic();
    const [set, commit] = [operation.set.bind(operation), operation.commit.bind(operation)];
    operation.set = (key, value, options) => {
      this.written.push({ key, expireIn: options?.expireIn });
      return set(key, value, options);
    };
    operation.commit = () =>
      this.#meet("commit", async () => {
        const result = await commit();
        if (result.ok) this.commits++;
        return result;
      });
    return operation;
  }

  close(): void {
    this.closed = true;
    this.inner.close();
  }
}
