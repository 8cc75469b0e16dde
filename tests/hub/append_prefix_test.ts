/**
 * The part of an append that stands while its store fails: always the beginning of the body.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { RunnelError } from "../../lib/base/errors.ts";
import type { Append } from "../../lib/hub/append.ts";
import {
  commitThenFail,
  commitThenFailCheck,
  commitThenHang,
  databaseLocked,
  fail,
  failCheck,
  type Fault,
  hang,
  passThrough,
  pause,
} from "../support/fakes/kv.ts";
import { advanceLogsUntil, readTexts, textEvent } from "../support/log.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { startService, type TestService } from "../support/service.ts";
import { flush } from "../support/wait.ts";

/** Calls of the store that an append makes, each with the faults that it may meet. */
const COMMIT_FAULTS: Record<string, () => Fault> = {
  passes: () => passThrough,
  fails: () => fail(),
  "is locked": () => fail(databaseLocked),
  "is refused": () => failCheck,
  hangs: () => hang,
  "is made and fails": () => commitThenFail(),
  "is made and seems refused": () => commitThenFailCheck,
  "is made and hangs": () => commitThenHang,
};
const READ_FAULTS: Record<string, () => Fault> = {
  passes: () => passThrough,
  fails: () => fail(),
  hangs: () => hang,
};

/** A commit that arrives when everything else is over, as of a connection that thaws. */
const LATE = "arrives late";

/** One connection: the numbers of events that arrive together, and the faults of its calls. */
interface Attempt {
  groups: number[];
  commits: string[];
  reads: string[];
}

const attempts = (names: string[]) =>
  fc.record<Attempt>({
    groups: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
    commits: fc.array(fc.constantFrom(...names), { maxLength: 6 }),
    reads: fc.array(fc.constantFrom(...Object.keys(READ_FAULTS)), { maxLength: 4 }),
  });

/** An append that is sent to a service whose store fails. */
class Sender {
  readonly #service: TestService;
  readonly #body: readonly string[];
  readonly #ends: boolean;
  readonly #late: (() => void)[] = [];

  constructor(service: TestService, body: readonly string[], ends: boolean) {
    this.#service = service;
    this.#body = body;
    this.#ends = ends;
  }

  /** Returns the texts that stand. The store must not fail meanwhile. */
  async standing(): Promise<string[]> {
    const texts = await this.#settle(readTexts(this.#service.log, "p_a"));
    return texts.filter((text) => !text.startsWith("{"));
  }

  /** Sends the body once, and returns what was told. */
  async send(
    { groups, commits, reads }: Attempt,
    key?: string,
  ): Promise<{ error: RunnelError | null; append: Append | null }> {
    const { kv, hub } = this.#service;
    const faults = {
      commit: commits.map((name) => name === LATE ? this.#lateCommit() : COMMIT_FAULTS[name]!()),
      getMany: reads.map((name) => READ_FAULTS[name]!()),
    };
    kv.fallback = (call) =>
      (call === "commit" || call === "getMany") && faults[call].shift() || passThrough;
    let append: Append | null = null;
    try {
      const opened = hub.openAppend("p_a", {
        key,
        publisher: undefined,
        after: 0,
        client: null,
        commit: (run) => run(),
        onStored() {},
        onFailure() {},
      });
      append = await this.#settle(opened);
      using _open = append;
      await this.#settle(this.#addAll(append, groups));
      await this.#settle(append.finish());
      return { error: null, append };
    } catch (error) {
      ok(error instanceof RunnelError, String(error));
      return { error, append };
    } finally {
      kv.fallback = () => passThrough;
    }
  }

  async #addAll(append: Append, groups: readonly number[]): Promise<void> {
    for (let at = 0, turn = 0; at < this.#body.length; turn++) {
      const until = at + groups[turn % groups.length]!;
      for (; at < Math.min(until, this.#body.length); at++) {
        append.add(textEvent(this.#body[at]!), this.#ends && at === this.#body.length - 1);
      }
      await flush();
    }
  }

  /** Lets the commits arrive that were late. */
  async arrive(): Promise<void> {
    for (const release of this.#late) release();
    await flush();
  }

  #lateCommit(): Fault {
    const { fault, release } = pause("call");
    this.#late.push(release);
    return fault;
  }

  #settle<T>(work: Promise<T>): Promise<T> {
    return advanceLogsUntil([this.#service], work);
  }
}

Deno.test("What stands of an append is the beginning of its body, and as much as it was told, whatever fails", async () => {
  const names = [...Object.keys(COMMIT_FAULTS), LATE];
  await fc.assert(
    fc.asyncProperty(
      fc.array(attempts(names), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      fc.boolean(),
      async (attempts, length, isKeyed, ends) => {
        const service = await startService();
        const body = Array.from({ length }, (_, index) => `event ${index + 1}`);
        const sender = new Sender(service, body, ends);
        const key = isKeyed ? "run-17" : undefined;
        for (const attempt of isKeyed ? attempts : attempts.slice(0, 1)) {
          const { error, append } = await sender.send(attempt, key);
          const texts = await sender.standing();
          deepEqual(texts, body.slice(0, texts.length), "the beginning of the body");
          if (error === null) equal(texts.length, length, "all that was accepted");
          if (append === null) continue;
          if (error?.type === "outcome-unknown") ok(append.count <= texts.length);
          else equal(append.count, texts.length, "as much as was told");
        }
        if (isKeyed) {
          // A call that hangs since the last attempt may still hold up the next one.
          let last = null;
          for (let tries = 0; tries < 5 && last?.error !== null; tries++) {
            last = await sender.send({ groups: [3], commits: [], reads: [] }, key);
          }
          const { error, append } = last!;
          equal(error, null);
          equal(append!.count, length);
          equal(append!.end !== undefined, ends);
          deepEqual(await sender.standing(), body, "sent again with its key, it is complete");
        }
        const before = await sender.standing();
        await sender.arrive();
        if (isKeyed) deepEqual(await sender.standing(), before, "no commit is made late");
        await advanceLogsUntil([service], (async () => await service[Symbol.asyncDispose]())());
      },
    ),
    repetitions(100),
  );
});
