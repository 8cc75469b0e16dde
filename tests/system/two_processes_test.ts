import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { WatchKv } from "../../lib/kv/kv_connection.ts";
import type { StreamReader } from "../support/clients/stream_reader.ts";
import { pause } from "../support/fakes/kv.ts";
import { shareStore } from "../support/log.ts";
import type { TestService } from "../support/service.ts";
import { startTwoInstances } from "../support/two_instances.ts";
import { advanceUntil, flush } from "../support/wait.ts";

/** A watch that reports nothing, like one whose connection is frozen. */
const silent: WatchKv = { watch: () => new ReadableStream(), close: () => {} };

/** Starts two services that are connected by a store only, like two processes. */
async function startTwoProcesses(watch: (store: Deno.Kv) => WatchKv) {
  const store = await Deno.openKv(":memory:");
  const { clock, here, there, [Symbol.asyncDispose]: dispose } = await startTwoInstances({
    watch: () => Promise.resolve(watch(store)),
    openStore: () => Promise.resolve(shareStore(store)),
  });
  return {
    clock,
    /** Store of the first service, with faults that a test scripts. */
    kv: here.kv,
    here: here.service,
    there: there.service,
    advanceUntil: <T>(work: Promise<T>) => advanceUntil(clock, work, 10),
    [Symbol.asyncDispose]: dispose,
  };
}

const byWatch = (store: Deno.Kv): WatchKv => ({ watch: store.watch.bind(store), close() {} });

async function openLiveStream(service: TestService): Promise<StreamReader> {
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  return stream;
}

async function readNumbers(stream: StreamReader, count: number): Promise<number[]> {
  return (await stream.events(count)).map(({ data }) => Number(data));
}

Deno.test("A process delivers events of other processes when its watch reports them", async () => {
  await using both = await startTwoProcesses(byWatch);
  const { here, there, advanceUntil } = both;
  const stream = await openLiveStream(there);
  for (const n of [1, 2, 3]) {
    await advanceUntil(here.publish("p_a", "events", n));
    deepEqual(await advanceUntil(readNumbers(stream, 1)), [n]);
  }
  ok(there.hub.repairs.watch > 0);
  deepEqual([there.hub.repairs.gap, there.hub.repairs.reconcile], [0, 0]);
  await stream.cancel();
});

Deno.test("A process delivers its own events once when its watch reports them, too", async () => {
  await using both = await startTwoProcesses(byWatch);
  const { here, advanceUntil } = both;
  const stream = await openLiveStream(here);
  await Promise.all([1, 2, 3, 4].map((n) => advanceUntil(here.publish("p_a", "events", n))));
  deepEqual((await advanceUntil(readNumbers(stream, 4))).sort(), [1, 2, 3, 4]);
  await advanceUntil(here.publish("p_a", "events", 5));
  deepEqual(await advanceUntil(readNumbers(stream, 1)), [5]);
  await flush();
  deepEqual(here.hub.repairs, { gap: 0, announcement: 0, watch: 0, reconcile: 0 });
  await stream.cancel();
});

Deno.test("A process awaits its own commit, and reads no log, when its watch reports it first", async () => {
  await using both = await startTwoProcesses(byWatch);
  const { kv, here, advanceUntil } = both;
  const stream = await openLiveStream(here);
  // The watch begins, and reports the current head.
  both.clock.advance(10);
  for (let i = 0; i < 5; i++) await flush();
  const commit = pause("answer");
  kv.script("commit", commit.fault);
  const publish = here.publish("p_a", "events", 1);
  await commit.done;
  for (let i = 0; i < 5; i++) await flush();
  commit.release();
  await advanceUntil(publish);
  deepEqual(await advanceUntil(readNumbers(stream, 1)), [1]);
  deepEqual(here.hub.repairs, { gap: 0, announcement: 0, watch: 0, reconcile: 0 });
  await stream.cancel();
});

Deno.test("Two processes deliver the events of both in one order", async () => {
  await using both = await startTwoProcesses(byWatch);
  const { here, there, advanceUntil } = both;
  const streams = [await openLiveStream(here), await openLiveStream(there)];
  const publishes = Array.from(
    { length: 60 },
    (_, n) => (n % 2 ? here : there).publish("p_a", "events", n),
  );
  await advanceUntil(Promise.all(publishes));
  const [first, second] = await advanceUntil(
    Promise.all(streams.map((each) => readNumbers(each, 60))),
  );
  deepEqual(first, second);
  equal(new Set(first).size, 60);
  for (const stream of streams) await stream.cancel();
});

Deno.test("A process delivers within a minute, and opens another watch, when its watch is silent", async () => {
  let opened = 0;
  const counted: WatchKv = {
    watch: () => {
      opened++;
      return new ReadableStream();
    },
    close: () => {},
  };
  await using both = await startTwoProcesses(() => counted);
  const { clock, here, there, advanceUntil } = both;
  const stream = await openLiveStream(there);
  const news = stream.event();
  await advanceUntil(here.publish("p_a", "events", 1));
  for (let second = 0; second < 60; second++) {
    clock.advance(1000);
    await flush();
  }
  equal((await advanceUntil(news))!.data, "1");
  deepEqual(there.hub.repairs, { gap: 0, announcement: 0, watch: 0, reconcile: 1 });
  deepEqual([...there.hub.behind], [["p_a", 1]]);
  clock.advance(10);
  await flush();
  equal(opened, 2);
  await stream.cancel();
});

Deno.test("A process resumes after an ID of another process, without repeats, when its watch is silent", async () => {
  await using both = await startTwoProcesses(() => silent);
  const { here, there, advanceUntil } = both;
  const other = await openLiveStream(there);
  const id = await advanceUntil(here.publish("p_a", "events", 1));
  const stream = await there.subscribe("p_a/sse", { "Last-Event-ID": id });
  deepEqual((await stream.until("runnel.live")).map(({ type }) => type), ["runnel.live"]);
  await stream.cancel();
  await other.cancel();
});

Deno.test("A clear in one process applies to the others", async () => {
  await using both = await startTwoProcesses(byWatch);
  const { here, there, advanceUntil } = both;
  const stream = await openLiveStream(there);
  await advanceUntil(here.publish("p_a", "events", 1));
  deepEqual(await advanceUntil(readNumbers(stream, 1)), [1]);
  await here.hub.clear("p_a");
  await advanceUntil(flush().then(flush));
  const fresh = await there.subscribe("p_a/sse");
  deepEqual((await fresh.until("runnel.live")).map(({ data }) => data), ['{"replayed":0}']);
  await stream.cancel();
  await fresh.cancel();
});
