import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { deadline, systemClock } from "../../lib/base/clock.ts";
import type { Change } from "../../lib/log/commit.ts";
import type { StreamReader } from "../support/clients/stream_reader.ts";
import {
  describeEvent,
  jsonEvent,
  liveMarker,
  numbers,
  readEvents,
  subscribeToHub,
} from "../support/events.ts";
import { deliver, FakeChannels, type Route } from "../support/fakes/broadcast.ts";
import { fileStore, memoryStore } from "../support/log.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { assertIdle, startService } from "../support/service.ts";
import { startTwoInstances } from "../support/two_instances.ts";
import { advanceUntil } from "../support/wait.ts";

const LARGE = "x".repeat(50_000);

function soon<T>(work: Promise<T>): Promise<T> {
  return deadline(systemClock, 5000, work, () => new Error("Not within 5 seconds"));
}

Deno.test("PipelineRegistry keeps a pipeline in memory while it has subscribers", async () => {
  const service = await startService();
  const { hub } = service;
  await using _ = service;
  await hub.publish("p_b", [jsonEvent(1)]);
  equal(hub.stats.pipelines, 0);
  const streams = [
    await subscribeToHub(service),
    await subscribeToHub(service),
    await subscribeToHub(service, "p_b"),
  ];
  deepEqual([hub.stats.subscribers, hub.stats.pipelines], [3, 2]);
  equal(service.clock.liveTimers, 1);
  for (const stream of streams) await stream.cancel();
  await assertIdle(service);
});

Deno.test("PipelineRegistry keeps all tails within their limit, and subscribers get everything", async () => {
  const service = await startService({ settings: { RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024) } });
  const { hub } = service;
  await using _ = service;
  const pipelines = ["p_a", "p_b", "p_c"];
  const streams: StreamReader[] = [];
  for (const pipeline of pipelines) streams.push(await subscribeToHub(service, pipeline));
  let most = 0;
  for (let i = 1; i <= 30; i++) {
    for (const pipeline of pipelines) {
      await hub.publish(pipeline, [jsonEvent([i, LARGE])]);
      most = Math.max(most, hub.stats.tailBytes);
    }
  }
  ok(most > 512 * 1024 && most <= 1024 * 1024, `${most}`);
  for (const stream of streams) {
    const [seam, ...events] = await stream.events(31);
    deepEqual(describeEvent(seam!), liveMarker(0));
    deepEqual(events.map(({ data }) => JSON.parse(data)[0]), numbers(1, 30));
    await stream.cancel();
  }
  await assertIdle(service);
});

Deno.test("PipelineRegistry shrinks no tail while all together are within their limit", async () => {
  const service = await startService({ settings: { RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024) } });
  const { hub } = service;
  await using _ = service;
  const streams: StreamReader[] = [];
  for (let i = 0; i < 10; i++) streams.push(await subscribeToHub(service, `p_${i}`));
  for (let i = 1; i <= 10; i++) await hub.publish("p_0", [jsonEvent([i, LARGE])]);
  ok(hub.stats.tailBytes > 500_000, `${hub.stats.tailBytes}`);
  for (const stream of streams) await stream.cancel();
});

Deno.test("PipelineRegistry counts repairs of pipelines that are no longer live", async () => {
  const network = new FakeChannels();
  await using hubs = await startTwoInstances({ Channel: network.Channel });
  const [here, there] = [hubs.here.service, hubs.there.service];
  const stream = await subscribeToHub(there);
  await stream.until("runnel.live");
  network.route = () => {};
  await here.hub.publish("p_a", [jsonEvent(1)]);
  network.route = deliver;
  await here.hub.publish("p_a", [jsonEvent(2)]);
  deepEqual(await readEvents(stream, 2), [1, 2]);
  equal(there.hub.repairs.gap, 1);
  await stream.cancel();
  await assertIdle(there);
  equal(there.hub.repairs.gap, 1);
});

Deno.test("PipelineRegistry counts events that tails read from the log, too", async () => {
  const service = await startService({ settings: { RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024) } });
  const { hub } = service;
  await using _ = service;
  const pipelines = ["p_a", "p_b", "p_c", "p_d"];
  for (const pipeline of pipelines) {
    for (let i = 1; i <= 15; i++) await hub.publish(pipeline, [jsonEvent([i, LARGE])]);
  }
  const streams: StreamReader[] = [];
  for (const pipeline of pipelines) streams.push(await subscribeToHub(service, pipeline));
  ok(hub.stats.tailBytes <= 1024 * 1024, `${hub.stats.tailBytes}`);
  for (const stream of streams) {
    const events = await stream.until("runnel.live");
    deepEqual(events.slice(0, -1).map(({ data }) => JSON.parse(data)[0]), numbers(1, 15));
    await stream.cancel();
  }
});

for (const [where, openStore] of [["in memory", memoryStore], ["in a file", fileStore]] as const) {
  Deno.test(`Two hubs on a store ${where} deliver all events to all subscribers, once, in order`, async () => {
    await using hubs = await startTwoInstances({ Channel: BroadcastChannel, openStore });
    const isolates = [hubs.here, hubs.there];
    const streams: StreamReader[] = [];
    for (const { service } of isolates) {
      streams.push(await advanceUntil(hubs.clock, subscribeToHub(service)));
      streams.push(await advanceUntil(hubs.clock, subscribeToHub(service)));
    }
    const told = streams.map((stream) => readEvents(stream, 41));
    for (let i = 1; i <= 40; i++) {
      const { service } = isolates[i % 2]!;
      await advanceUntil(hubs.clock, service.hub.publish("p_a", [jsonEvent(i)]));
    }
    for (const each of told) deepEqual(await soon(each), [liveMarker(0), ...numbers(1, 40)]);
    for (const stream of streams) await stream.cancel();
    for (const { service, channels } of isolates) {
      await assertIdle(service);
      equal(channels!.stats.failures, 0);
    }
  });
}

Deno.test("Hub.publish() posts one message for a request of any size, without subscribers too", async () => {
  const network = new FakeChannels();
  await using hubs = await startTwoInstances({ Channel: network.Channel });
  const stream = await subscribeToHub(hubs.there.service);
  const events = numbers(1, 9).map((i) => jsonEvent([i, LARGE]));
  await hubs.here.service.hub.publish("p_a", events);
  equal(network.posts, 1);
  const said = await stream.events(10);
  deepEqual(said.slice(1).map(({ data }) => JSON.parse(data)[0]), numbers(1, 9));
  equal(hubs.there.kv.calls.next, 0, "the message carried the events");
  await stream.cancel();
});

Deno.test("Hub.clear() clears the tails of the other hub", async () => {
  const network = new FakeChannels();
  await using hubs = await startTwoInstances({ Channel: network.Channel });
  const [here, there] = [hubs.here.service, hubs.there.service];
  await here.hub.publish("p_a", [jsonEvent(1), jsonEvent(2)]);
  const stream = await subscribeToHub(there);
  deepEqual(await readEvents(stream, 3), [1, 2, liveMarker(2)]);
  await here.hub.clear("p_a");
  const other = await subscribeToHub(there);
  deepEqual(await readEvents(other, 1), [liveMarker(0)]);
  await advanceUntil(hubs.clock, here.hub.publish("p_a", [jsonEvent(3)]));
  deepEqual(await readEvents(stream, 1), [3]);
  deepEqual(await readEvents(other, 1), [3]);
  for (const each of [stream, other]) await each.cancel();
});

Deno.test("Hub works without broadcast channels", async () => {
  await using hubs = await startTwoInstances();
  const [here, there] = [hubs.here.service, hubs.there.service];
  const stream = await subscribeToHub(here);
  await here.hub.publish("p_a", [jsonEvent(1)]);
  await here.hub.clear("p_a");
  deepEqual(await readEvents(stream, 1), [liveMarker(0)]);
  await stream.cancel();
  const fresh = await subscribeToHub(there);
  deepEqual(await readEvents(fresh, 1), [liveMarker(0)]);
  await fresh.cancel();
});

/** Fates of one message; `later` is delivered after the next ones, in reverse order. */
const FATES = ["delivered", "lost", "doubled", "later", "of another epoch"] as const;

function scripted(fates: Iterator<typeof FATES[number]>): { route: Route; flush: () => void } {
  const later: (() => void)[] = [];
  const flush = () => {
    while (later.length > 0) later.pop()!();
  };
  const route: Route = (message, deliver) => {
    const fate = fates.next().value ?? "delivered";
    if (fate === "later") return void later.push(() => deliver(message));
    if (fate === "lost") return;
    deliver(
      fate === "of another epoch" ? { ...message, epoch: "AAAAAAAAAAA" } as Change : message,
    );
    if (fate === "doubled") deliver(message);
    flush();
  };
  return { route, flush };
}

async function survives(fates: (typeof FATES[number])[], isolateOf: number[]): Promise<void> {
  const network = new FakeChannels();
  await using hubs = await startTwoInstances({
    Channel: network.Channel,
    settings: { RUNNEL_HISTORY: "3" },
  });
  const isolates = [hubs.here, hubs.there];
  const streams: StreamReader[] = [];
  for (const { service } of isolates) streams.push(await subscribeToHub(service));
  const { route, flush } = scripted(fates[Symbol.iterator]());
  network.route = route;
  let last = 0;
  for (const [index, isolate] of isolateOf.entries()) {
    const events = Array.from({ length: index % 3 + 1 }, () => jsonEvent(++last));
    await advanceUntil(hubs.clock, isolates[isolate]!.service.hub.publish("p_a", events));
  }
  flush();
  network.route = deliver;
  await advanceUntil(hubs.clock, hubs.here.service.hub.publish("p_a", [jsonEvent(++last)]));
  for (const stream of streams) {
    deepEqual(await readEvents(stream, last + 1), [liveMarker(0), ...numbers(1, last)]);
    await stream.cancel();
  }
  for (const { service } of isolates) await assertIdle(service);
}

for (const fate of FATES) {
  Deno.test(`Two hubs deliver all events, once, in order, when every message is ${fate}`, async () => {
    await survives(Array(8).fill(fate), [0, 0, 1, 0, 1, 1, 0, 0]);
  });
}

Deno.test("Two hubs deliver all events, once, in order, whatever happens to their messages", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...FATES), { minLength: 10, maxLength: 10 }),
      fc.array(fc.nat({ max: 1 }), { minLength: 4, maxLength: 10 }),
      survives,
    ),
    repetitions(15),
  );
});
