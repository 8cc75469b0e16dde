import {
  deepStrictEqual as deepEqual,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { drain } from "../support/drain.ts";
import {
  describeEvent,
  jsonEvent,
  liveMarker,
  numbers,
  readEvents,
  subscribeToHub,
} from "../support/events.ts";
import { FakeChannels } from "../support/fakes/broadcast.ts";
import { type FaultyKv, passThrough, pause, type PausedCall } from "../support/fakes/kv.ts";
import { assertIdle, startService, type TestService } from "../support/service.ts";
import { startTwoInstances } from "../support/two_instances.ts";
import { flush, until } from "../support/wait.ts";

const TYPE = (type: string) => ({ name: "RunnelError", type });

/** All events of a stream until it ends. */
async function rest(stream: StreamReader): Promise<unknown[]> {
  return (await stream.until("")).map(describeEvent);
}

// ---------------------------------------------------------------- subscribers

Deno.test("Hub.subscribe() accepts up to the maximum of subscribers, pending ones included", async () => {
  const service = await startService({ settings: { RUNNEL_MAX_SUBSCRIBERS: "2" } });
  const { hub, kv } = service;
  await using _ = service;
  const held = pause("call");
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

Deno.test("Hub.subscribe() frees the place of a subscriber when the log does not answer", async () => {
  const service = await startService({ settings: { RUNNEL_MAX_SUBSCRIBERS: "1" } });
  const { hub, kv } = service;
  await using _ = service;
  kv.script("get", () => Promise.reject(new Error("connection reset")));
  await rejects(hub.subscribe("p_a"), TYPE("log-unavailable"));
  await assertIdle(service);
  await (await hub.subscribe("p_a")).cancel();
});

Deno.test("Hub keeps all its streams alive with one timer", async () => {
  const service = await startService();
  await using _ = service;
  const streams: StreamReader[] = [];
  for (let i = 0; i < 20; i++) streams.push(await subscribeToHub(service, `p_${i % 5}`));
  equal(service.clock.liveTimers, 1);
  for (const stream of streams) await stream.until("runnel.live");
  const said = streams.map((stream) => stream.next());
  await flush();
  service.clock.advance(15_000);
  for (const each of await Promise.all(said)) {
    deepEqual(each, { kind: "comment", text: "keepalive" });
  }
  for (const stream of streams) await stream.cancel();
  await assertIdle(service);
});

// ----------------------------------------------------------------------- drain

/** Holds the commit of a publish in flight. */
async function publishHeld({ hub, kv }: { hub: TestService["hub"]; kv: FaultyKv }): Promise<{
  held: PausedCall;
  publishing: Promise<unknown>;
}> {
  const held = pause("call");
  kv.script("commit", held.fault);
  const publishing = hub.publish("p_a", [jsonEvent("in flight")]);
  await held.reached;
  return { held, publishing };
}

Deno.test("Hub.ready() pings the log once for all concurrent calls", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  const before = kv.calls.commit;
  await Promise.all(Array.from({ length: 20 }, () => hub.ready(1000)));
  equal(kv.calls.commit, before + 1);
  await hub.ready(1000);
  equal(kv.calls.commit, before + 2);
});

Deno.test("Hub.stopPublishing() refuses new work, and is not ready while the process answers", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  await drain(hub, 2500);
  const calls = { ...kv.calls };
  await rejects(hub.publish("p_a", [jsonEvent(1)]), TYPE("draining"));
  await rejects(hub.subscribe("p_a"), TYPE("draining"));
  await rejects(hub.clear("p_a"), TYPE("draining"));
  throws(() => service.probes.open({ everyMs: 100, bytes: 0 }), TYPE("draining"));
  await rejects(hub.ready(1000), TYPE("draining"));
  deepEqual(kv.calls, calls);
  equal((await service.fetch(new Request("http://localhost/healthz"))).status, 200);
  equal((await service.fetch(new Request("http://localhost/readyz"))).status, 503);
  await assertIdle(service);
});

Deno.test("Hub.stopPublishing() waits for publishes, then Hub.close() ends streams with their last events", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  const [waiting, slow] = [await subscribeToHub(service), await subscribeToHub(service)];
  await waiting.until("runnel.live");
  const end = rest(waiting);
  const { held, publishing } = await publishHeld({ hub, kv });
  await hub.publish("p_b", [jsonEvent(1)]);
  let drained = false;
  const draining = drain(hub, 2500).then(() => drained = true);
  await rejects(hub.publish("p_a", [jsonEvent("late")]), TYPE("draining"));
  service.clock.advance(2499);
  await flush();
  equal(drained, false);
  equal(hub.stats.subscribers, 2);
  held.release();
  await publishing;
  await draining;
  deepEqual(await end, ["in flight"]);
  deepEqual(await rest(slow), [liveMarker(0), "in flight"]);
  await assertIdle(service);
});

Deno.test("Hub.stopPublishing() tells publishers at its deadline that the outcome is unknown", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  const stream = await subscribeToHub(service);
  const { held, publishing } = await publishHeld({ hub, kv });
  const response = service.fetch(
    new Request("http://localhost/ingest/p_a/events", { method: "POST", body: "x" }),
  );
  const refused = rejects(publishing, TYPE("outcome-unknown"));
  await until(() => hub.stats.publishing === 2);
  const draining = drain(hub, 2500);
  service.clock.advance(2500);
  await draining;
  await refused;
  equal((await response).status, 503);
  equal((await response).headers.get("Retry-After"), "1");
  equal((await (await response).json()).type, "urn:runnel:problem:outcome-unknown");
  deepEqual(await rest(stream), [liveMarker(0)]);
  held.release();
  await held.done;
  await assertIdle(service);
});

Deno.test("Hub.stopPublishing() ends probes at once, before publishes in flight", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  const held = pause("answer");
  kv.script("commit", held.fault);
  const publishing = hub.publish("p_a", [jsonEvent(1)]);
  await held.reached;
  const probe = new StreamReader(service.probes.open({ everyMs: 100, bytes: 0 }));
  const draining = drain(hub, 2500);
  equal((await probe.events(2)).length, 1);
  held.release();
  await Promise.all([publishing, draining]);
  await assertIdle(service);
});

Deno.test("Hub.close() does not wait for a stream whose client does not read", async () => {
  const service = await startService();
  const { hub } = service;
  await using _ = service;
  const stream = await subscribeToHub(service);
  await hub.publish("p_a", [jsonEvent(1)]);
  await drain(hub, 2500);
  equal(service.clock.liveTimers, 1);
  deepEqual(await rest(stream), [liveMarker(0), 1]);
  await assertIdle(service);
});

Deno.test("Hub.catchUp() does not wait long for the last events of others when the log hangs", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  const stream = await subscribeToHub(service);
  const held = pause("call");
  kv.script("get", held.fault);
  let drained = false;
  await hub.stopPublishing(0);
  const draining = hub.catchUp(300).then(() => hub.close()).then(() => drained = true);
  await held.reached;
  service.clock.advance(299);
  await flush();
  equal(drained, false);
  service.clock.advance(1);
  await draining;
  deepEqual(await rest(stream), [liveMarker(0)]);
  held.release();
  await held.done;
  // The repair that it held goes on.
  await flush();
  await until(() => kv.busy === 0);
});

Deno.test("Hub.close() ends a pending stream, too", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  await hub.publish("p_a", [jsonEvent(1)]);
  const held = pause("answer");
  kv.script("get", held.fault);
  const arriving = subscribeToHub(service);
  await held.reached;
  await drain(hub, 2500);
  held.release();
  deepEqual(await rest(await arriving), [1, liveMarker(1)]);
  await assertIdle(service);
});

Deno.test("Hub.subscribe() replays no more than the history, whatever is asked for", async () => {
  const service = await startService({ settings: { RUNNEL_HISTORY: "3" } });
  const { hub } = service;
  await using _ = service;
  await hub.publish("p_a", numbers(1, 9).map(jsonEvent));
  const stream = new StreamReader(await hub.subscribe("p_a", { history: rangeOfNewest(5) }));
  deepEqual(await readEvents(stream, 4), [7, 8, 9, liveMarker(3)]);
  await stream.cancel();
});

Deno.test("Hub.subscribe() calls onClose when the stream cannot start", async () => {
  const service = await startService();
  const { hub, kv } = service;
  await using _ = service;
  kv.script("get", () => Promise.reject(new Error("connection reset")));
  let closes = 0;
  await rejects(hub.subscribe("p_a", { onClose: () => closes++ }), TYPE("log-unavailable"));
  equal(closes, 1);
});

Deno.test("Hub.subscribe() ends a stream at its expiry, and has no timer for one that ended", async () => {
  const service = await startService();
  const { hub } = service;
  await using _ = service;
  const endsAt = service.clock.now() + 5000;
  const streams = [1, 2].map(async () => new StreamReader(await hub.subscribe("p_a", { endsAt })));
  const [first, second] = await Promise.all(streams);
  await first!.until("runnel.live");
  await second!.until("runnel.live");
  await first!.cancel();
  equal(service.clock.liveTimers, 2, "a keep-alive and an expiry");
  const end = rest(second!);
  await flush();
  service.clock.advance(4999);
  equal(hub.stats.subscribers, 1);
  service.clock.advance(1);
  deepEqual(await end, [["runnel.expired", { reason: "expired" }]]);
  await assertIdle(service);
});

for (
  const [what, signal, farewell] of [
    ["signal was aborted", "signal", []],
    ["token was revoked", "revoked", [["runnel.expired", { reason: "revoked" }]]],
  ] as const
) {
  Deno.test(`Hub.subscribe() ends a stream whose ${what} while it was pending`, async () => {
    const service = await startService();
    const { hub, kv } = service;
    await using _ = service;
    await hub.publish("p_a", [jsonEvent(1)]);
    const held = pause("answer");
    kv.script("get", held.fault);
    const ending = new AbortController();
    const arriving = hub.subscribe("p_a", { [signal]: ending.signal });
    await held.reached;
    ending.abort();
    held.release();
    const expected = [1, liveMarker(1), ...farewell];
    deepEqual(await rest(new StreamReader(await arriving)), expected);
    await assertIdle(service);
  });
}

for (const [direction, step] of [["back", -3_600_000], ["forward", 3_600_000]] as const) {
  Deno.test(`Hub.subscribe() ends a stream at its age though the clock was set ${direction}`, async () => {
    const service = await startService({
      random: () => 0.5,
      settings: { RUNNEL_MAX_STREAM_AGE_MS: "60000", RUNNEL_KEEPALIVE_MS: "15000" },
    });
    await using _ = service;
    const { clock, hub } = service;
    const aged = new StreamReader(await hub.subscribe("p_a"));
    const expiring = new StreamReader(
      await hub.subscribe("p_a", { endsAt: clock.now() + 30_000 }),
    );
    const ends = [rest(expiring), rest(aged)];
    clock.set(clock.now() + step);
    const seen: number[] = [];
    for (let second = 1; second <= 76; second++) {
      clock.advance(1000);
      await flush();
      if ([29, 30, 59, 76].includes(second)) seen.push(hub.stats.subscribers);
    }
    deepEqual(seen, [2, 1, 1, 0]);
    await Promise.all(ends);
  });
}

Deno.test("Hub.close() ends a stream that is behind the tail where it is; it resumes without a hole", async () => {
  await using hubs = await startTwoInstances({ settings: { RUNNEL_HISTORY: "5" } });
  const [here, there] = [hubs.here.service, hubs.there.service];
  const { epoch } = await here.hub.publish("p_a", numbers(1, 50).map(jsonEvent));
  const stream = new StreamReader(await here.hub.subscribe("p_a", { lastEventId: `${epoch}-7` }));
  await drain(here.hub, 2500);
  deepEqual(await rest(stream), []);
  const again = new StreamReader(await there.hub.subscribe("p_a", { lastEventId: `${epoch}-7` }));
  deepEqual(await readEvents(again, 44), [...numbers(8, 50), liveMarker(43)]);
  await again.cancel();
});

Deno.test("Hub.close() closes its channels permanently, even for a late commit", async () => {
  const network = new FakeChannels();
  await using hubs = await startTwoInstances({ Channel: network.Channel });
  const { service, kv } = hubs.here;
  const stream = await subscribeToHub(service);
  const { held, publishing } = await publishHeld({ hub: service.hub, kv });
  const refused = rejects(publishing, TYPE("outcome-unknown"));
  const draining = drain(service.hub, 2500);
  hubs.clock.advance(2500);
  await draining;
  await refused;
  held.release();
  await flush();
  deepEqual(await rest(stream), [liveMarker(0)]);
  deepEqual(network.open, ["runnel"], "the other's");
  deepEqual(service.reports, []);
});

// --------------------------------------------------------------------- fan-out

Deno.test("Hub.subscribe() listens to other isolates before it reads the log", async () => {
  const network = new FakeChannels();
  await using hubs = await startTwoInstances({ Channel: network.Channel });
  const [here, there] = [hubs.here.service, hubs.there.service];
  await here.hub.publish("p_a", [jsonEvent(1)]);
  for (const what of ["call", "answer"] as const) {
    const held = pause(what);
    hubs.there.kv.script("get", held.fault);
    const arriving = subscribeToHub(there);
    await held.reached;
    await here.hub.publish("p_a", [jsonEvent(2)]);
    held.release();
    const stream = await arriving;
    await here.hub.publish("p_a", [jsonEvent(3)]);
    const events = (await stream.events(what === "call" ? 4 : 6)).map(describeEvent);
    deepEqual(
      events.filter((each) => !Array.isArray(each)),
      what === "call" ? [1, 2, 3] : [1, 2, 3, 2, 3],
    );
    await stream.cancel();
    await assertIdle(there);
  }
});

Deno.test("Hub.subscribe() misses no broadcast between its last read of the log and its start", async () => {
  const network = new FakeChannels();
  await using hubs = await startTwoInstances({ Channel: network.Channel });
  const [here, there] = [hubs.here.service, hubs.there.service];
  await here.hub.publish("p_a", [jsonEvent(1)]);
  const held = pause("answer");
  // The end of the list, after its one segment.
  hubs.there.kv.script("next", passThrough, held.fault);
  const arriving = subscribeToHub(there);
  await held.reached;
  await here.hub.publish("p_a", [jsonEvent(2)]);
  held.release();
  const stream = await arriving;
  deepEqual(await readEvents(stream, 3), [1, 2, liveMarker(2)]);
  equal(there.hub.repairs.gap, 0);
  await stream.cancel();
  await assertIdle(there);
});

Deno.test("Hub.assertCapacity() accepts a live pipeline, and no other, when there are enough", async () => {
  const service = await startService({ settings: { RUNNEL_MAX_PIPELINES: "1" } });
  const { hub } = service;
  await using _ = service;
  const stream = await subscribeToHub(service);
  hub.assertCapacity(["p_a"], null);
  throws(() => hub.assertCapacity(["p_b"], null), TYPE("overloaded"));
  await stream.cancel();
});

Deno.test("Hub.subscribe() starts a stream with the events up to notBefore", async () => {
  await using hubs = await startTwoInstances();
  const [here, there] = [hubs.here.service, hubs.there.service];
  await here.hub.publish("p_a", [jsonEvent(1)]);
  const live1 = await subscribeToHub(there);
  await live1.until("runnel.live");
  const { epoch, first: sequence } = await here.hub.publish("p_a", [jsonEvent(2)]);
  const notBefore = { epoch, sequence };
  const stream = new StreamReader(await there.hub.subscribe("p_a", { notBefore: [notBefore] }));
  deepEqual(await readEvents(stream, 3), [1, 2, liveMarker(2)]);
  for (const each of [live1, stream]) await each.cancel();
  await assertIdle(there);
});

Deno.test("Hub.publish() delivers in this isolate when the broadcast channel fails", async () => {
  const network = new FakeChannels();
  const broken = () => {
    throw new TypeError("expected i32");
  };
  network.route = broken;
  network.onClose = broken;
  await using hubs = await startTwoInstances({ Channel: network.Channel });
  const { service, channels } = hubs.here;
  const stream = await subscribeToHub(service);
  for (let i = 1; i <= 3; i++) await service.hub.publish("p_a", [jsonEvent(i)]);
  deepEqual(await readEvents(stream, 4), [liveMarker(0), 1, 2, 3]);
  equal(channels!.stats.failures, 3);
  await service.hub.clear("p_a");
  equal(channels!.stats.failures, 4);
  await stream.cancel();
  equal(channels!.stats.failures, 5);
  await assertIdle(service);
});
