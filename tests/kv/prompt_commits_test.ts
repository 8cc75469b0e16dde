import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { promptCommits } from "../../lib/kv/prompt_commits.ts";

/** Wraps a store in memory, and notes the calls that reach it. */
async function createStore() {
  const inner = await Deno.openKv(":memory:");
  const calls: string[] = [];
  const reads: PromiseWithResolvers<void>[] = [];
  const noted = {
    get<T>(key: Deno.KvKey) {
      calls.push(`get ${key.join()}`);
      return inner.get<T>(key);
    },
    // It is in flight until the test ends it.
    async getMany() {
      const read = Promise.withResolvers<void>();
      reads.push(read);
      await read.promise;
      return [];
    },
    list: inner.list.bind(inner),
    watch: inner.watch.bind(inner),
    atomic() {
      const operation = inner.atomic();
      const commit = operation.commit.bind(operation);
      operation.commit = () => (calls.push("commit"), commit());
      return operation;
    },
    close: inner.close.bind(inner),
  } as unknown as Deno.Kv;
  return {
    kv: promptCommits(noted),
    calls,
    reads,
    [Symbol.dispose]: () => inner.close(),
  };
}

const sizes: [name: string, values: unknown[], calls: string[]][] = [
  ["a small commit", [{ sequence: 1 }, new Uint8Array(500)], ["commit"]],
  ["bytes of 1 KiB", [new Uint8Array(1024)], ["get prompt", "commit"]],
  ["objects of 1 KiB", [{ text: "".padEnd(1024) }], ["get prompt", "commit"]],
  ["values of 1 KiB together", [new Uint8Array(600), "".padEnd(600)], ["get prompt", "commit"]],
];
for (const [name, values, calls] of sizes) {
  const what = calls.length > 1 ? "reads before" : "reads nothing before";
  Deno.test(`promptCommits() ${what} a lone commit of ${name}`, async () => {
    using store = await createStore();
    const operation = store.kv.atomic().check({ key: ["a"], versionstamp: null });
    values.forEach((value, index) => operation.set(["a", index], value));
    ok((await operation.commit()).ok);
    deepEqual(store.calls, calls);
    deepEqual((await store.kv.get(["a", 0])).value, values[0]);
  });
}

Deno.test("promptCommits() reads nothing while another call is in flight", async () => {
  using store = await createStore();
  const commit = () => store.kv.atomic().set(["a"], new Uint8Array(2000)).commit();
  const read = store.kv.getMany([["a"]]);
  await commit();
  deepEqual(store.calls, ["commit"]);
  store.reads[0]!.resolve();
  await read;
  await Promise.all([commit(), commit()]);
  deepEqual(store.calls, ["commit", "get prompt", "commit", "commit"]);
});

Deno.test("promptCommits() goes on after a commit that failed", async () => {
  using store = await createStore();
  const tooLarge = store.kv.atomic().set(["a"], new Uint8Array(70_000));
  await tooLarge.commit().then(() => ok(false), () => {});
  await store.kv.atomic().set(["a"], new Uint8Array(2000)).commit();
  deepEqual(store.calls, ["get prompt", "commit", "get prompt", "commit"]);
});
