import {
  deepStrictEqual as deepEqual,
  match,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { assertNotCopied, type CopyMark, removeSourceMark } from "../../lib/kv/copy_mark.ts";
import { copyStore, type CopyStoreOptions } from "../../lib/kv/copy_store.ts";
import { type Kv, KvConnection } from "../../lib/kv/kv_connection.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { until } from "../support/wait.ts";

const MARK = ["copy"];

/** A store in memory, and the connection to it that a copy uses. */
async function open(use: (kv: Deno.Kv) => Kv = (kv) => kv) {
  const kv = await Deno.openKv(":memory:");
  const connection = await KvConnection.open({
    open: () => Promise.resolve(use(kv)),
    runtime: { clock: new FakeClock(), report() {} },
    timeoutMs: 1000,
    remote: false,
  });
  return { kv, connection, [Symbol.dispose]: () => connection.close() };
}

type Store = Awaited<ReturnType<typeof open>>;

function copy(from: Store, to: Store, more: Partial<CopyStoreOptions> = {}) {
  return copyStore({
    from: { kv: from.connection, name: "FROM" },
    to: { kv: to.connection, name: "TO" },
    timeLeft: () => Infinity,
    runtime: { clock: new FakeClock() },
    ...more,
  });
}

async function contentOf({ kv }: Store): Promise<[Deno.KvKey, unknown][]> {
  const entries = await Array.fromAsync(kv.list({ prefix: [] }));
  return entries.filter(({ key }) => key[0] !== "copy").map(({ key, value }) => [key, value]);
}

/** Writes records of each kind of key and value, more than one write takes. */
async function fill({ kv }: Store): Promise<number> {
  await kv.set(["a", "text", new Uint8Array([1, 255])], { until: 1, list: [1n, null] });
  await kv.set(["b", true, 7, 8n], new Uint8Array(60_000).fill(3));
  for (let i = 0; i < 30; i++) await kv.set(["large", i], new Uint8Array(60_000).fill(i));
  for (let i = 0; i < 1000; i++) await kv.set(["small", i], i);
  return 1032;
}

/** A store whose writes fail after a number of them. */
function failingAfter(writes: number): (kv: Deno.Kv) => Kv {
  return (kv) => ({
    get: kv.get.bind(kv),
    getMany: kv.getMany.bind(kv),
    list: kv.list.bind(kv),
    close: kv.close.bind(kv),
    atomic() {
      if (writes-- <= 0) throw new Error("The process was killed");
      return kv.atomic();
    },
  } as Kv);
}

Deno.test("copyStore() copies keys and values of all kinds, and marks the source only", async () => {
  using from = await open();
  using to = await open();
  const count = await fill(from);
  deepEqual(await copy(from, to), { records: count, resumed: false });
  deepEqual(await contentOf(to), await contentOf(from));
  equal((await to.kv.get(MARK)).value, null);
  await assertNotCopied(to.connection);
  const { value } = await from.kv.get<CopyMark>(MARK);
  deepEqual([value?.role, value?.other], ["source", "TO"]);
  await rejects(assertNotCopied(from.connection), /this log was copied to "TO"/);
});

Deno.test("copyStore() keeps the time that a record has left, and leaves out what has expired", async () => {
  using from = await open();
  const expiries: unknown[] = [];
  using to = await open((kv) => ({
    get: kv.get.bind(kv),
    list: kv.list.bind(kv),
    close: kv.close.bind(kv),
    atomic() {
      const operation = kv.atomic();
      const set = operation.set.bind(operation);
      operation.set = (key, value, options) => {
        if (key[0] !== "copy") expiries.push([key, options?.expireIn]);
        return set(key, value, options);
      };
      return operation;
    },
  } as Kv));
  for (const [index, left] of [Infinity, 1500.2, 0, -1].entries()) {
    await from.kv.set(["r", index], left);
  }
  const timeLeft = (_key: Deno.KvKey, value: unknown) => value as number;
  equal((await copy(from, to, { timeLeft })).records, 2);
  deepEqual(expiries, [[["r", 0], undefined], [["r", 1], 1501]]);
});

for (const writes of [0, 1, 2, 3, 5, 6]) {
  Deno.test(`copyStore() goes on after it was killed before write ${writes + 1}`, async () => {
    using from = await open();
    using to = await open();
    await fill(from);
    // The same store, by a connection that fails.
    const connection = await KvConnection.open({
      open: () => Promise.resolve(failingAfter(writes)(to.kv)),
      runtime: { clock: new FakeClock(), report() {} },
      timeoutMs: 1000,
      remote: false,
    });
    await rejects(copy(from, { ...to, connection }));
    if (writes > 0) {
      await rejects(
        assertNotCopied(to.connection),
        /the copy of "FROM" to this log is incompl/,
      );
    }
    if (writes > 1) {
      await rejects(assertNotCopied(from.connection), /this log was copied to "TO"/);
    }
    const { records, resumed } = await copy(from, to);
    equal(resumed, writes > 0);
    if (writes > 3) ok(records < 1032, "it does not begin anew");
    deepEqual(await contentOf(to), await contentOf(from));
    await assertNotCopied(to.connection);
  });
}

Deno.test("copyStore() refuses a source that is written meanwhile, and begins anew the next time", async () => {
  for (const place of ["a", "z"]) {
    using from = await open();
    using to = await open();
    await fill(from);
    const writer = async () => {
      await from.kv.set([place, "written"], 1);
    };
    let isWritten = false;
    const onProgress = () => {
      if (!isWritten) pending = writer();
      isWritten = true;
    };
    let pending: Promise<void> | null = null;
    await rejects(copy(from, to, { onProgress }), (error: Error) => {
      match(error.message, /^Cannot copy: FROM is still written .* Stop all processes/);
      return true;
    });
    await pending;
    await assertNotCopied(from.connection);
    await from.kv.delete(["small", 1]);
    deepEqual(await copy(from, to), { records: 1032, resumed: false });
    deepEqual(await contentOf(to), await contentOf(from));
  }
});

Deno.test("copyStore() refuses a target that has records, and marks nothing", async () => {
  using from = await open();
  using to = await open();
  await fill(from);
  await to.kv.set(["mine"], 1);
  await rejects(copy(from, to), /^RunnelError: Cannot copy: TO is not empty/);
  deepEqual(await contentOf(to), [[["mine"], 1]]);
  deepEqual([(await from.kv.get(MARK)).value, (await to.kv.get(MARK)).value], [null, null]);
});

Deno.test("copyStore() refuses a source that was copied, until its mark is removed", async () => {
  using from = await open();
  using to = await open();
  using other = await open();
  await fill(from);
  await copy(from, to);
  await rejects(copy(from, other), /FROM was copied to TO before/);
  await from.connection.call(removeSourceMark);
  await copy(from, other);
  deepEqual(await contentOf(other), await contentOf(from));
});

Deno.test("copyStore() refuses a source that is an incomplete copy", async () => {
  using from = await open();
  using to = await open();
  using other = await open();
  await to.kv.set(MARK, { role: "target", id: "1", other: "OLD", cursor: null });
  await rejects(copy(to, other), /the copy of OLD to FROM is incomplete\. Run that again first$/);
  await to.connection.call(removeSourceMark);
  await rejects(assertNotCopied(to.connection), /is incomplete/);
  deepEqual(await contentOf(from), []);
});

Deno.test("copyStore() waits once for the processes that use a KV server, before it reads", async () => {
  using from = await open();
  using to = await open();
  await fill(from);
  const clock = new FakeClock();
  const remote = await KvConnection.open({
    open: () => Promise.resolve(from.kv),
    runtime: { clock, report() {} },
    timeoutMs: 60_000,
    remote: true,
  });
  const waits: number[] = [];
  const start = (connection: KvConnection) =>
    copyStore({
      from: { kv: remote, name: "FROM" },
      to: { kv: connection, name: "TO" },
      timeLeft: () => Infinity,
      runtime: { clock },
      onWait: (ms) => waits.push(ms),
    });
  const killed = await KvConnection.open({
    open: () => Promise.resolve(failingAfter(3)(to.kv)),
    runtime: { clock, report() {} },
    timeoutMs: 60_000,
    remote: false,
  });
  const first = rejects(start(killed), /Cannot reach the log/);
  await until(() => waits.length === 1);
  // A process that has not looked yet may write.
  await from.kv.set(["small", 1000], 1000);
  clock.advance(12_000);
  await first;
  await start(to.connection);
  deepEqual(waits, [12_000]);
  deepEqual(await contentOf(to), await contentOf(from));
});
