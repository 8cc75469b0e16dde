import {
  deepStrictEqual as deepEqual,
  notStrictEqual,
  strictEqual as equal,
} from "node:assert/strict";
import type { Head } from "../../lib/log/head.ts";
import { headKey } from "../../lib/log/keys.ts";
import { renewEpochs } from "../../lib/log/renew_epochs.ts";
import { HeadReader } from "../../lib/log/unwritten.ts";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { failCheck, FaultyKv } from "../support/fakes/kv.ts";

const head = (sequence: number): Head => ({
  epoch: "before",
  sequence,
  oldest: 1,
  cleared: 0,
  time: 0,
  bytes: 0,
  marks: [],
});

/** Opens a store with the heads of some pipelines. */
async function openStore(heads: Record<string, Head>) {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  for (const [pipeline, head] of Object.entries(heads)) {
    await kv.atomic().set(headKey(pipeline), head).commit();
  }
  const connection = await KvConnection.open({
    open: () => Promise.resolve(kv),
    runtime: { clock: new FakeClock(), report() {} },
    timeoutMs: 3000,
    remote: false,
  });
  return { kv, connection, [Symbol.dispose]: () => connection.close() };
}

Deno.test("renewEpochs() gives each pipeline an epoch of its own, and sequences go on", async () => {
  const heads = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`p_${i}`, head(i + 1)]));
  using store = await openStore(heads);
  equal(await renewEpochs(store.connection), 250);
  const epochs = new Set<string>(["before"]);
  for (const [pipeline, before] of Object.entries(heads)) {
    const { epoch, ...others } = (await store.kv.get<Head>(headKey(pipeline))).value!;
    epochs.add(epoch);
    deepEqual({ epoch: "before", ...others }, before);
  }
  equal(epochs.size, 251);
});

Deno.test("renewEpochs() removes the heads of pipelines without events", async () => {
  using store = await openStore({ p_a: head(0), p_b: head(3) });
  equal(await renewEpochs(store.connection), 1);
  equal((await store.kv.get(headKey("p_a"))).value, null);
});

Deno.test("renewEpochs() renews a head that a running process writes meanwhile", async () => {
  using store = await openStore({ p_a: head(3) });
  store.kv.script("commit", failCheck);
  equal(await renewEpochs(store.connection), 1);
  notStrictEqual((await store.kv.get<Head>(headKey("p_a"))).value!.epoch, "before");
});

Deno.test("renewEpochs() gives pipelines without a head another epoch", async () => {
  using store = await openStore({});
  const reader = new HeadReader({ clock: new FakeClock(), random: Math.random });
  const epoch = async () => (await reader.read((use) => use(store.kv), "p_a")).head.epoch;
  const before = await epoch();
  equal(await epoch(), before);
  await renewEpochs(store.connection);
  notStrictEqual(await epoch(), before);
});
