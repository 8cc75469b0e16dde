import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import fc from "fast-check";
import { systemClock, within } from "../lib/clock.ts";
import type { NewEvent } from "../lib/event.ts";
import type { PipelineMessage } from "../lib/pipeline_channel.ts";
import { driven } from "./support/driven.ts";
import { delivers, FakeChannels, type Route } from "./support/fake_channels.ts";
import { settled } from "./support/fake_clock.ts";
import { FaultyKv, type Held, holds, passes } from "./support/faulty_kv.ts";
import { assertIdle } from "./support/idle.ts";
import { type SaidEvent, StreamReader } from "./support/stream_reader.ts";
import { fileStore, memoryStore, textEvent } from "./support/test_log.ts";
import { createTestService, type TestService } from "./support/test_service.ts";
import { createTwoHubs } from "./support/two_hubs.ts";

const TYPE = (type: string) => ({ name: "RunnelError", type });
const live = (replayed: number) => ["runnel.live", { replayed }];

async function createHub(settings: Record<string, string> = {}) {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const service = await createTestService({ settings, open: () => Promise.resolve(kv) });
  return { service, hub: service.hub, kv };
}

function event(payload: unknown): NewEvent {
  return textEvent(JSON.stringify(payload));
}

function brief({ type, data }: SaidEvent): unknown {
  return type.startsWith("runnel.") ? [type, JSON.parse(data)] : JSON.parse(data);
}

async function says(stream: StreamReader, count: number): Promise<unknown[]> {
  return (await stream.events(count)).map(brief);
}

async function subscribe({ hub }: TestService, pipeline = "p_a"): Promise<StreamReader> {
  return new StreamReader(await hub.subscribe(pipeline));
}

/** Everything that a stream says until it ends. */
async function rest(stream: StreamReader): Promise<unknown[]> {
  return (await stream.until("")).map(brief);
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function soon<T>(work: Promise<T>): Promise<T> {
  return within(systemClock, 5000, work, () => new Error("Not within 5 seconds"));
}

// ---------------------------------------------------------------- subscribers

Deno.test("Hub.subscribe() takes as many subscribers as there may be, those on their way included", async () => {
  const { service, hub, kv } = await createHub({ RUNNEL_MAX_SUBSCRIBERS: "2" });
  await using _ = service;
  const held = holds("call");
  kv.script("get", held.fault);
  const arriving = [hub.subscribe("p_a"), hub.subscribe("p_a")];
  await rejects(hub.subscribe("p_b"), TYPE("overloaded"));
  held.release();
  const [first, second] = await Promise.all(arriving);
  await rejects(hub.subscribe("p_a"), TYPE("overloaded"));
  await first!.cancel();
  const third = await hub.subscribe("p_b");
  deepEqual([hub.stats.subscribers, hub.stats.pipelines], [2, 2]);
  await second!.cancel();
  await third.cancel();
  await assertIdle(service);
});

Deno.test("Hub.subscribe() keeps nothing of one for whom the log does not answer", async () => {
  const { service, hub, kv } = await createHub({ RUNNEL_MAX_SUBSCRIBERS: "1" });
  await using _ = service;
  kv.script("get", () => Promise.reject(new Error("connection reset")));
  await rejects(hub.subscribe("p_a"), TYPE("log-unavailable"));
  await assertIdle(service);
  await (await hub.subscribe("p_a")).cancel();
});

Deno.test("Hub keeps the pipelines of its subscribers in memory, and no others", async () => {
  const { service, hub } = await createHub();
  await using _ = service;
  await hub.publish("p_b", [event(1)]);
  equal(hub.stats.pipelines, 0);
  const streams = [
    await subscribe(service),
    await subscribe(service),
    await subscribe(service, "p_b"),
  ];
  deepEqual([hub.stats.subscribers, hub.stats.pipelines], [3, 2]);
  equal(service.clock.liveTimers, 1);
  for (const stream of streams) await stream.cancel();
  await assertIdle(service);
});

Deno.test("Hub keeps all its streams alive with one timer", async () => {
  const { service } = await createHub();
  await using _ = service;
  const streams: StreamReader[] = [];
  for (let i = 0; i < 20; i++) streams.push(await subscribe(service, `p_${i % 5}`));
  equal(service.clock.liveTimers, 1);
  for (const stream of streams) await stream.until("runnel.live");
  const said = streams.map((stream) => stream.next());
  await settled();
  service.clock.advance(15_000);
  for (const each of await Promise.all(said)) {
    deepEqual(each, { kind: "comment", text: "keepalive" });
  }
  for (const stream of streams) await stream.cancel();
  await assertIdle(service);
});

// ---------------------------------------------------------------------- memory

const LARGE = "x".repeat(50_000);

Deno.test("Hub keeps all tails together within their limit, and subscribers still get everything", async () => {
  const { service, hub } = await createHub({ RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024) });
  await using _ = service;
  const pipelines = ["p_a", "p_b", "p_c"];
  const streams: StreamReader[] = [];
  for (const pipeline of pipelines) streams.push(await subscribe(service, pipeline));
  let most = 0;
  for (let i = 1; i <= 30; i++) {
    for (const pipeline of pipelines) {
      await hub.publish(pipeline, [event([i, LARGE])]);
      most = Math.max(most, hub.stats.tailBytes);
    }
  }
  ok(most > 512 * 1024 && most <= 1024 * 1024, `${most}`);
  for (const stream of streams) {
    const [seam, ...events] = await stream.events(31);
    deepEqual(brief(seam!), live(0));
    deepEqual(events.map(({ data }) => JSON.parse(data)[0]), numbers(1, 30));
    await stream.cancel();
  }
  await assertIdle(service);
});

Deno.test("Hub counts what tails take from the log, too", async () => {
  const { service, hub } = await createHub({ RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024) });
  await using _ = service;
  const pipelines = ["p_a", "p_b", "p_c", "p_d"];
  for (const pipeline of pipelines) {
    for (let i = 1; i <= 15; i++) await hub.publish(pipeline, [event([i, LARGE])]);
  }
  const streams: StreamReader[] = [];
  for (const pipeline of pipelines) streams.push(await subscribe(service, pipeline));
  ok(hub.stats.tailBytes <= 1024 * 1024, `${hub.stats.tailBytes}`);
  for (const stream of streams) {
    const events = await stream.until("runnel.live");
    deepEqual(events.slice(0, -1).map(({ data }) => JSON.parse(data)[0]), numbers(1, 15));
    await stream.cancel();
  }
});

Deno.test("Hub.history() gives as many as were asked for, though more come while it reads", async () => {
  const { service, hub, kv } = await createHub();
  await using _ = service;
  await hub.publish("p_a", numbers(1, 5).map(event));
  const held = holds("call");
  kv.script("get", passes, held.fault);
  const reading = hub.history("p_a", 3);
  await held.met;
  await hub.publish("p_a", [event(6)]);
  held.release();
  deepEqual((await reading).events.map(({ sequence }) => sequence), [3, 4, 5]);
});

// ----------------------------------------------------------------------- drain

/** Holds the commit of a publish that is under way. */
async function publishHeld({ hub, kv }: { hub: TestService["hub"]; kv: FaultyKv }): Promise<{
  held: Held;
  publishing: Promise<unknown>;
}> {
  const held = holds("call");
  kv.script("commit", held.fault);
  const publishing = hub.publish("p_a", [event("in flight")]);
  await held.met;
  return { held, publishing };
}

Deno.test("Hub.drain() refuses new work, and is not ready while the process answers", async () => {
  const { service, hub, kv } = await createHub();
  await using _ = service;
  await hub.drain(2500);
  const calls = { ...kv.calls };
  await rejects(hub.publish("p_a", [event(1)]), TYPE("draining"));
  await rejects(hub.subscribe("p_a"), TYPE("draining"));
  await rejects(hub.clear("p_a"), TYPE("draining"));
  await rejects(hub.ready(1000), TYPE("draining"));
  deepEqual(kv.calls, calls);
  equal((await service.fetch(new Request("http://localhost/healthz"))).status, 200);
  equal((await service.fetch(new Request("http://localhost/readyz"))).status, 503);
  await assertIdle(service);
});

Deno.test("Hub.drain() waits for publishes under way, then ends every stream with its last events", async () => {
  const { service, hub, kv } = await createHub();
  await using _ = service;
  const [waiting, slow] = [await subscribe(service), await subscribe(service)];
  await waiting.until("runnel.live");
  const end = rest(waiting);
  const { held, publishing } = await publishHeld({ hub, kv });
  await hub.publish("p_b", [event(1)]);
  let drained = false;
  const draining = hub.drain(2500).then(() => drained = true);
  await rejects(hub.publish("p_a", [event("late")]), TYPE("draining"));
  service.clock.advance(2499);
  await settled();
  equal(drained, false);
  equal(hub.stats.subscribers, 2);
  held.release();
  await publishing;
  await draining;
  deepEqual(await end, ["in flight"]);
  deepEqual(await rest(slow), [live(0), "in flight"]);
  await assertIdle(service);
});

Deno.test("Hub.drain() tells publishers at its deadline that the outcome is unknown", async () => {
  const { service, hub, kv } = await createHub();
  await using _ = service;
  const stream = await subscribe(service);
  const { held, publishing } = await publishHeld({ hub, kv });
  const response = service.fetch(
    new Request("http://localhost/ingest/p_a/events", { method: "POST", body: "x" }),
  );
  const refused = rejects(publishing, TYPE("outcome-unknown"));
  await settled();
  const draining = hub.drain(2500);
  service.clock.advance(2500);
  await draining;
  await refused;
  equal((await response).status, 503);
  equal((await response).headers.get("Retry-After"), "1");
  equal((await (await response).json()).type, "urn:runnel:problem:outcome-unknown");
  deepEqual(await rest(stream), [live(0)]);
  held.release();
  await held.done;
  await assertIdle(service);
});

Deno.test("Hub.drain() does not wait for a stream that does not read", async () => {
  const { service, hub } = await createHub();
  await using _ = service;
  const stream = await subscribe(service);
  await hub.publish("p_a", [event(1)]);
  await hub.drain(2500);
  equal(service.clock.liveTimers, 1);
  deepEqual(await rest(stream), [live(0), 1]);
  await assertIdle(service);
});

Deno.test("Hub.drain() ends a stream that is on its way, too", async () => {
  const { service, hub, kv } = await createHub();
  await using _ = service;
  await hub.publish("p_a", [event(1)]);
  const held = holds("answer");
  kv.script("get", held.fault);
  const arriving = subscribe(service);
  await held.met;
  await hub.drain(2500);
  held.release();
  deepEqual(await rest(await arriving), [1, live(1)]);
  await assertIdle(service);
});

Deno.test("Hub.drain() ends a stream that is behind the tail where it is: it comes back without a hole", async () => {
  await using hubs = await createTwoHubs(null, { RUNNEL_HISTORY: "5" });
  const [here, there] = [hubs.here.service, hubs.there.service];
  const { epoch } = await here.hub.publish("p_a", numbers(1, 50).map(event));
  const stream = new StreamReader(await here.hub.subscribe("p_a", { lastEventId: `${epoch}-7` }));
  await here.hub.drain(2500);
  deepEqual(await rest(stream), []);
  const again = new StreamReader(await there.hub.subscribe("p_a", { lastEventId: `${epoch}-7` }));
  deepEqual(await says(again, 44), [...numbers(8, 50), live(43)]);
  await again.cancel();
});

Deno.test("Hub.drain() closes its channels for good, even for a commit that comes late", async () => {
  const network = new FakeChannels();
  await using hubs = await createTwoHubs(network.Channel);
  const { service, kv } = hubs.here;
  const stream = await subscribe(service);
  const { held, publishing } = await publishHeld({ hub: service.hub, kv });
  const refused = rejects(publishing, TYPE("outcome-unknown"));
  const draining = service.hub.drain(2500);
  hubs.clock.advance(2500);
  await draining;
  await refused;
  held.release();
  await settled();
  deepEqual(await rest(stream), [live(0)]);
  deepEqual(network.open, ["runnel"], "the other's");
  deepEqual(service.reports, []);
});

// --------------------------------------------------------------------- fan-out

for (const [where, openStore] of [["in memory", memoryStore], ["in a file", fileStore]] as const) {
  Deno.test(`two hubs on a store ${where} tell each other of everything: all subscribers get all, once, in order`, async () => {
    await using hubs = await createTwoHubs(BroadcastChannel, {}, openStore);
    const isolates = [hubs.here, hubs.there];
    const streams: StreamReader[] = [];
    for (const { service } of isolates) {
      streams.push(await driven(hubs.clock, subscribe(service)));
      streams.push(await driven(hubs.clock, subscribe(service)));
    }
    const told = streams.map((stream) => says(stream, 41));
    for (let i = 1; i <= 40; i++) {
      const { service } = isolates[i % 2]!;
      await driven(hubs.clock, service.hub.publish("p_a", [event(i)]));
    }
    for (const each of told) deepEqual(await soon(each), [live(0), ...numbers(1, 40)]);
    for (const stream of streams) await stream.cancel();
    for (const { service, channels } of isolates) {
      await assertIdle(service);
      equal(channels!.stats.failures, 0);
    }
  });
}

Deno.test("Hub posts one message for a request, whatever its size, and also where nobody listens here", async () => {
  const network = new FakeChannels();
  await using hubs = await createTwoHubs(network.Channel);
  const stream = await subscribe(hubs.there.service);
  const events = numbers(1, 9).map((i) => event([i, LARGE]));
  await hubs.here.service.hub.publish("p_a", events);
  equal(network.posts, 1);
  const said = await stream.events(10);
  deepEqual(said.slice(1).map(({ data }) => JSON.parse(data)[0]), numbers(1, 9));
  equal(hubs.there.kv.calls.next, 0, "the message carried the events");
  await stream.cancel();
});

Deno.test("Hub.subscribe() listens to others before it reads the log", async () => {
  const network = new FakeChannels();
  await using hubs = await createTwoHubs(network.Channel);
  const [here, there] = [hubs.here.service, hubs.there.service];
  await here.hub.publish("p_a", [event(1)]);
  for (const what of ["call", "answer"] as const) {
    const held = holds(what);
    hubs.there.kv.script("get", held.fault);
    const arriving = subscribe(there);
    await held.met;
    await here.hub.publish("p_a", [event(2)]);
    held.release();
    const stream = await arriving;
    await here.hub.publish("p_a", [event(3)]);
    const events = (await stream.events(what === "call" ? 4 : 6)).map(brief);
    deepEqual(
      events.filter((each) => !Array.isArray(each)),
      what === "call" ? [1, 2, 3] : [1, 2, 3, 2, 3],
    );
    await stream.cancel();
    await assertIdle(there);
  }
});

Deno.test("Hub.clear() is learned by the others", async () => {
  const network = new FakeChannels();
  await using hubs = await createTwoHubs(network.Channel);
  const [here, there] = [hubs.here.service, hubs.there.service];
  await here.hub.publish("p_a", [event(1), event(2)]);
  const stream = await subscribe(there);
  deepEqual(await says(stream, 3), [1, 2, live(2)]);
  await here.hub.clear("p_a");
  const other = await subscribe(there);
  deepEqual(await says(other, 1), [live(0)]);
  await driven(hubs.clock, here.hub.publish("p_a", [event(3)]));
  deepEqual(await says(stream, 1), [3]);
  deepEqual(await says(other, 1), [3]);
  for (const each of [stream, other]) await each.cancel();
});

Deno.test("Hub works without channels", async () => {
  await using hubs = await createTwoHubs(null);
  const [here, there] = [hubs.here.service, hubs.there.service];
  const stream = await subscribe(here);
  await here.hub.publish("p_a", [event(1)]);
  await here.hub.clear("p_a");
  deepEqual(await says(stream, 1), [live(0)]);
  await stream.cancel();
  const fresh = await subscribe(there);
  deepEqual(await says(fresh, 1), [live(0)]);
  await fresh.cancel();
});

Deno.test("Hub.publish() hears nothing of a channel that fails, and delivers here", async () => {
  const network = new FakeChannels();
  const broken = () => {
    throw new TypeError("expected i32");
  };
  network.route = broken;
  network.onClose = broken;
  await using hubs = await createTwoHubs(network.Channel);
  const { service, channels } = hubs.here;
  const stream = await subscribe(service);
  for (let i = 1; i <= 3; i++) await service.hub.publish("p_a", [event(i)]);
  deepEqual(await says(stream, 4), [live(0), 1, 2, 3]);
  equal(channels!.stats.failures, 3);
  await service.hub.clear("p_a");
  equal(channels!.stats.failures, 4);
  await stream.cancel();
  equal(channels!.stats.failures, 5);
  await assertIdle(service);
});

/** What becomes of one message; `later` is delivered after the next ones, last come first. */
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
      fate === "of another epoch"
        ? { ...message, epoch: "AAAAAAAAAAA" } as PipelineMessage
        : message,
    );
    if (fate === "doubled") deliver(message);
    flush();
  };
  return { route, flush };
}

async function survives(fates: (typeof FATES[number])[], isolateOf: number[]): Promise<void> {
  const network = new FakeChannels();
  await using hubs = await createTwoHubs(network.Channel, { RUNNEL_HISTORY: "3" });
  const isolates = [hubs.here, hubs.there];
  const streams: StreamReader[] = [];
  for (const { service } of isolates) streams.push(await subscribe(service));
  const { route, flush } = scripted(fates[Symbol.iterator]());
  network.route = route;
  let last = 0;
  for (const [index, isolate] of isolateOf.entries()) {
    const events = Array.from({ length: index % 3 + 1 }, () => event(++last));
    await driven(hubs.clock, isolates[isolate]!.service.hub.publish("p_a", events));
  }
  flush();
  network.route = delivers;
  await driven(hubs.clock, hubs.here.service.hub.publish("p_a", [event(++last)]));
  for (const stream of streams) {
    deepEqual(await says(stream, last + 1), [live(0), ...numbers(1, last)]);
    await stream.cancel();
  }
  for (const { service } of isolates) await assertIdle(service);
}

for (const fate of FATES) {
  Deno.test(`subscribers of two hubs get all, once, in order, though every message is ${fate}`, async () => {
    await survives(Array(8).fill(fate), [0, 0, 1, 0, 1, 1, 0, 0]);
  });
}

Deno.test("subscribers of two hubs get all, once, in order, whatever becomes of the messages between them", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...FATES), { minLength: 10, maxLength: 10 }),
      fc.array(fc.nat({ max: 1 }), { minLength: 4, maxLength: 10 }),
      survives,
    ),
    { numRuns: 15 },
  );
});
