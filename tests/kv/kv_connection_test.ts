import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { chunk } from "../../lib/base/chunk.ts";
import { RunnelError } from "../../lib/base/errors.ts";
import { type Kv, KvConnection } from "../../lib/kv/kv_connection.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { FaultyKv, hang } from "../support/fakes/kv.ts";
import { flush } from "../support/wait.ts";

const TIMEOUT_MS = 3000;
const late = { type: "log-unavailable" };

/** Creates a connection and keeps all its stores, in the order in which they were opened. */
async function createTestConnection(remote: boolean) {
  const clock = new FakeClock();
  const stores: FaultyKv[] = [];
  /** Replacements of the next openings. */
  const openings: (() => Promise<Kv>)[] = [];
  const open = async () => {
    const kv = new FaultyKv(await Deno.openKv(":memory:"));
    stores.push(kv);
    return kv;
  };
  const connection = await KvConnection.open({
    open: () => (openings.shift() ?? open)(),
    runtime: { clock, report() {} },
    timeoutMs: TIMEOUT_MS,
    remote,
  });
  return {
    connection,
    clock,
    stores,
    openings,
    get: (ms?: number) => connection.call((kv) => kv.get(["key"]), { ms }),
    /** Lets a call miss its deadline. */
    async missDeadline() {
      stores.at(-1)!.script("get", hang);
      const refused = rejects(connection.call((kv) => kv.get(["key"])), late);
      clock.advance(TIMEOUT_MS);
      await refused;
    },
    async [Symbol.asyncDispose]() {
      connection.close();
      await flush();
      for (const kv of stores) if (!kv.closed) kv.close();
    },
  };
}

Deno.test("KvConnection.open() throws what opening throws", async () => {
  const open = () => Promise.reject(new Error("no such host"));
  const options = {
    open,
    runtime: { clock: new FakeClock(), report() {} },
    timeoutMs: TIMEOUT_MS,
    remote: true,
  };
  await rejects(KvConnection.open(options), /no such host/);
});

Deno.test("KvConnection.open() rejects when a remote store does not answer in time", async () => {
  const clock = new FakeClock();
  const open = () => new Promise<never>(() => {});
  const refused = rejects(
    KvConnection.open({
      open,
      runtime: { clock, report() {} },
      timeoutMs: TIMEOUT_MS,
      remote: true,
    }),
    late,
  );
  clock.advance(TIMEOUT_MS);
  await refused;
  equal(clock.liveTimers, 0);
});

Deno.test("KvConnection.call() settles as the store does and leaves no timer", async () => {
  await using test = await createTestConnection(true);
  equal((await test.get()).value, null);
  await rejects(test.connection.call(() => Promise.reject(new Error("broken"))), /broken/);
  equal(test.clock.liveTimers, 0);
  equal(test.stores.length, 1);
});

for (
  const [name, ms, deadline] of [
    ["its own deadline", undefined, TIMEOUT_MS],
    ["the deadline of its caller if sooner", 10, 10],
    ["its own deadline if sooner than its caller's", 10_000, TIMEOUT_MS],
  ] as const
) {
  Deno.test(`KvConnection.call() waits for ${name}`, async () => {
    await using test = await createTestConnection(false);
    test.stores[0]!.script("get", hang);
    let answered = false;
    const refused = rejects(test.get(ms), late).then(() => answered = true);
    test.clock.advance(deadline - 1);
    await flush();
    equal(answered, false);
    test.clock.advance(1);
    await refused;
    equal(test.clock.liveTimers, 0);
  });
}

Deno.test("KvConnection.call() makes no call when the time of its caller has passed", async () => {
  await using test = await createTestConnection(true);
  await rejects(test.get(0), late);
  await rejects(test.get(-5), late);
  await test.get();
  deepEqual(test.stores.map(({ calls }) => calls.get), [1]);
});

Deno.test("KvConnection.call() replaces errors of the store when `as` says so", async () => {
  await using test = await createTestConnection(true);
  const as = "log-unavailable";
  const errors = [new Error("broken"), new RunnelError("storage-unusable", "Cannot start")];
  for (const cause of errors) {
    await rejects(test.connection.call(() => Promise.reject(cause)), cause);
    const unavailable = { type: as, message: "Cannot reach the log. Try again", cause };
    await rejects(test.connection.call(() => Promise.reject(cause), { as }), unavailable);
  }
  const own = new RunnelError("draining", "Cannot publish: closing");
  await rejects(test.connection.call(() => Promise.reject(own), { as }), own);
  await rejects(test.connection.call(() => Promise.resolve(), { as, ms: 0 }), late);
});

/** Writes every third of some keys, each with its index as its value, and returns them all. */
async function fillStore(kv: Kv, count: number): Promise<Deno.KvKey[]> {
  const keys = Array.from({ length: count }, (_, index) => ["key", index]);
  for (const part of chunk(keys, 90)) {
    const operation = kv.atomic();
    for (const key of part) if (Number(key[1]) % 3 === 0) operation.set(key, key[1]);
    await operation.commit();
  }
  return keys;
}

for (const [count, reads] of [[0, 0], [1, 1], [10, 1], [11, 2], [423, 43]] as const) {
  Deno.test(`KvConnection.getMany() reads ${count} keys in order, ten in one call`, async () => {
    await using test = await createTestConnection(true);
    const [kv] = test.stores;
    const keys = await fillStore(kv!, count);
    const entries = await test.connection.getMany<number>(keys);
    deepEqual(entries.map(({ key }) => key), keys);
    deepEqual(entries.map(({ value }) => value), keys.map(([, i]) => Number(i) % 3 ? null : i));
    equal(kv!.calls.getMany, reads);
  });
}

Deno.test("KvConnection.getMany() has forty reads in flight at most, none after an error", async () => {
  await using test = await createTestConnection(false);
  const [kv] = test.stores;
  const keys = await fillStore(kv!, 500);
  kv!.script("getMany", ...Array.from({ length: 40 }, () => hang));
  const refused = rejects(test.connection.getMany(keys, { ms: 10 }), late);
  await flush();
  equal(kv!.calls.getMany, 40);
  test.clock.advance(10);
  await refused;
  await flush();
  equal(kv!.calls.getMany, 40);
  equal(test.clock.liveTimers, 0);
});

Deno.test("KvConnection keeps a connection that missed a much shorter deadline", async () => {
  await using test = await createTestConnection(true);
  test.stores[0]!.script("get", hang);
  const refused = rejects(test.get(10), late);
  test.clock.advance(10);
  await refused;
  await test.get();
  equal(test.stores.length, 1);
});

Deno.test("KvConnection replaces a connection that missed a deadline", async () => {
  await using test = await createTestConnection(true);
  await test.missDeadline();
  await test.get();
  equal(test.stores.length, 2);
  deepEqual(test.stores.map(({ calls }) => calls.get), [1, 1]);
});

Deno.test("KvConnection closes a replaced connection after the deadlines of its calls", async () => {
  await using test = await createTestConnection(true);
  await test.missDeadline();
  await test.get();
  test.clock.advance(TIMEOUT_MS - 1);
  await flush();
  deepEqual(test.stores.map(({ closed }) => closed), [false, false]);
  test.clock.advance(1);
  await flush();
  deepEqual(test.stores.map(({ closed }) => closed), [true, false]);
  equal(test.clock.liveTimers, 0);
});

Deno.test("KvConnection replaces a connection once when many calls on it are late", async () => {
  await using test = await createTestConnection(true);
  test.stores[0]!.script("get", hang, hang, hang);
  const refused = [1, 2, 3].map(() => rejects(test.get(), late));
  test.clock.advance(1000);
  const later = test.get();
  await later;
  test.clock.advance(TIMEOUT_MS - 1000);
  await Promise.all(refused);
  await test.get();
  equal(test.stores.length, 2);
  equal(test.clock.liveTimers, 1);
});

Deno.test("KvConnection lets a call on a replaced connection succeed", async () => {
  await using test = await createTestConnection(true);
  const answer = Promise.withResolvers<void>();
  test.stores[0]!.script("get", hang, async (carryOut) => {
    await answer.promise;
    return await carryOut();
  });
  const refused = rejects(test.get(10), late);
  const slow = test.get();
  test.clock.advance(10);
  await refused;
  answer.resolve();
  equal((await slow).value, null);
});

Deno.test("KvConnection keeps a late connection to a file", async () => {
  await using test = await createTestConnection(false);
  await test.missDeadline();
  await test.get();
  equal(test.stores.length, 1);
  equal(test.stores[0]!.closed, false);
  equal(test.clock.liveTimers, 0);
});

Deno.test("KvConnection opens the store again after a failed opening", async () => {
  await using test = await createTestConnection(true);
  await test.missDeadline();
  test.openings.push(() => Promise.reject(new Error("no such host")));
  const both = [test.get(), test.get()].map((call) => rejects(call, /no such host/));
  await Promise.all(both);
  equal((await test.get()).value, null);
  equal(test.stores.length, 2);
});

Deno.test("KvConnection drops a late opening, and closes the store if it opens after all", async () => {
  await using test = await createTestConnection(true);
  await test.missDeadline();
  const opening = Promise.withResolvers<Kv>();
  test.openings.push(() => opening.promise);
  const refused = rejects(test.get(), late);
  test.clock.advance(TIMEOUT_MS);
  await refused;
  await test.get();
  test.clock.advance(TIMEOUT_MS);
  const opened = new FaultyKv(await Deno.openKv(":memory:"));
  opening.resolve(opened);
  await flush();
  equal(opened.closed, true);
  equal(test.clock.liveTimers, 0);
});

Deno.test("KvConnection ignores the error of an opening that it dropped", async () => {
  await using test = await createTestConnection(true);
  await test.missDeadline();
  const opening = Promise.withResolvers<Kv>();
  test.openings.push(() => opening.promise);
  const refused = rejects(test.get(), late);
  test.clock.advance(TIMEOUT_MS);
  await refused;
  opening.reject(new Error("no such host"));
  // An unhandled rejection would fail this test.
  await flush();
  equal((await test.get()).value, null);
  equal(test.stores.length, 2);
});

Deno.test("KvConnection.close() closes replaced connections and leaves no timer", async () => {
  await using test = await createTestConnection(true);
  await test.missDeadline();
  await test.get();
  test.connection.close();
  test.connection.close();
  await flush();
  deepEqual(test.stores.map(({ closed }) => closed), [true, true]);
  equal(test.clock.liveTimers, 0);
});

Deno.test("KvConnection opens nothing once it was closed", async () => {
  await using test = await createTestConnection(true);
  test.connection.close();
  for (let i = 0; i < 3; i++) await rejects(test.get(), { type: "draining" });
  equal(test.stores.length, 1);
});

Deno.test("KvConnection replaces nothing once it was closed", async () => {
  await using test = await createTestConnection(true);
  test.stores[0]!.script("get", hang);
  const refused = rejects(test.get());
  test.connection.close();
  test.clock.advance(TIMEOUT_MS);
  await refused;
  await rejects(test.get(), { type: "draining" });
  equal(test.stores.length, 1);
  equal(test.clock.liveTimers, 0);
});

Deno.test("KvConnection.exclusive() lets no call open the store before its work has ended", async () => {
  await using test = await createTestConnection(false);
  const { connection, stores, get } = test;
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = connection.exclusive(() => promise);
  await flush();
  const calls = [get(), get()];
  await flush();
  // A connection of now would keep the file that the work replaces, and never be closed.
  deepEqual(stores.map(({ closed }) => closed), [true]);
  resolve();
  await work;
  await Promise.all(calls);
  deepEqual(stores.map(({ closed }) => closed), [true, false]);
});
