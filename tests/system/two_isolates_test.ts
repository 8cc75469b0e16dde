import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import type { Change } from "../../lib/log/commit.ts";
import {
  lastEventIdHeader,
  liveMarker,
  numbers,
  publishNumbers,
  readEvents,
  readReplay,
  UNKNOWN_ID,
} from "../support/events.ts";
import { deliver, FakeChannels } from "../support/fakes/broadcast.ts";
import { fail, FaultyKv, pause } from "../support/fakes/kv.ts";
import { assertIdle, startService } from "../support/service.ts";
import { startTwoInstances } from "../support/two_instances.ts";
import { advanceUntil, flush } from "../support/wait.ts";
const HISTORY = 5;
const settings = { RUNNEL_HISTORY: String(HISTORY) };

Deno.test("A subscriber gets no event twice when its commit was read from the log before", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  await publishNumbers(service, 1, 3);
  const held = pause("answer");
  kv.script("commit", held.fault);
  const publishing = service.publish("p_a", "events", 4);
  await held.reached;
  const stream = await service.subscribe("p_a/sse");
  deepEqual(await readEvents(stream, 5), [1, 2, 3, 4, liveMarker(4)]);
  held.release();
  await publishing;
  await publishNumbers(service, 5, 5);
  deepEqual(await readEvents(stream, 1), [5]);
  await stream.cancel();
});

/** Creates two hubs; the second has a subscriber, and gets only messages that the test delivers. */
async function createUnconnectedHub() {
  const network = new FakeChannels();
  const hubs = await startTwoInstances({ Channel: network.Channel, settings });
  const [here, there] = [hubs.here.service, hubs.there.service];
  await publishNumbers(here, 1, 2);
  const stream = await there.subscribe("p_a/sse");
  await stream.until("runnel.live");
  const kept: (() => void)[] = [];
  network.route = (message, deliver) => kept.push(() => deliver(message));
  return { hubs, network, here, there, stream, kept };
}

Deno.test("An isolate reads missed events from the log, and retries every second", async () => {
  const { hubs, here, there, stream, kept } = await createUnconnectedHub();
  await using _ = hubs;
  await publishNumbers(here, 3, 5);
  hubs.there.kv.script("get", fail(), fail());
  const next = readEvents(stream, 3);
  kept[2]!();
  for (let tries = 1; tries <= 2; tries++) {
    await flush();
    equal(hubs.clock.liveTimers, 3, "timers of keep-alive, reconciliation and retry");
    hubs.clock.advance(1000);
  }
  deepEqual(await next, [3, 4, 5]);
  equal(hubs.clock.liveTimers, 2);
  await stream.cancel();
  await assertIdle(there);
});

Deno.test("A subscriber gets a broadcast event when a repair for another subscriber fails", async () => {
  const { hubs, here, there, stream, kept } = await createUnconnectedHub();
  await using _ = hubs;
  const held = pause("call");
  hubs.there.kv.script("get", async (carryOut) => {
    await held.fault(carryOut);
    throw new Error("connection reset");
  });
  const refused = there.subscribe("p_a/sse", lastEventIdHeader(UNKNOWN_ID)).catch(() => "refused");
  await held.reached;
  await publishNumbers(here, 3, 3);
  kept[0]!();
  held.release();
  equal(await refused, "refused");
  let received: unknown;
  readEvents(stream, 1).then((events) => received = events);
  for (let i = 0; i < 3; i++) {
    await flush();
    hubs.clock.advance(1000);
  }
  await flush();
  deepEqual(received, [3]);
  await stream.cancel();
  await assertIdle(there);
});

Deno.test("An isolate keeps no timer when its last subscriber leaves during a failing repair", async () => {
  const { hubs, here, there, stream, kept } = await createUnconnectedHub();
  await using _ = hubs;
  await publishNumbers(here, 3, 4);
  const held = pause("call");
  hubs.there.kv.script("get", async (carryOut) => {
    await held.fault(carryOut);
    throw new Error("connection reset");
  });
  kept[1]!();
  await held.reached;
  await stream.cancel();
  held.release();
  await assertIdle(there);
});

Deno.test("An isolate keeps no timer when its last subscriber leaves between two repairs", async () => {
  const { hubs, here, there, stream, kept } = await createUnconnectedHub();
  await using _ = hubs;
  await publishNumbers(here, 3, 4);
  hubs.there.kv.script("get", fail());
  kept[1]!();
  await flush();
  await stream.cancel();
  await assertIdle(there);
});

for (const count of [10, 255, 300]) {
  Deno.test(`A subscriber misses none of ${count} events when they arrive swapped during a repair`, async () => {
    const { hubs, here, there, stream, kept } = await createUnconnectedHub();
    await using _ = hubs;
    await publishNumbers(here, 3, 4);
    const held = pause("answer");
    hubs.there.kv.script("get", held.fault);
    const next = readEvents(stream, 2 + count);
    kept[1]!();
    await held.reached;
    await publishNumbers(here, 5, 4 + count);
    for (const deliver of kept.slice(2).reverse()) deliver();
    held.release();
    deepEqual(await next, numbers(3, 4 + count));
    await stream.cancel();
    await assertIdle(there);
  });
}

Deno.test("A subscriber gets all missed events when its isolate was far behind the log", async () => {
  const { hubs, here, there, stream, kept } = await createUnconnectedHub();
  await using _ = hubs;
  await publishNumbers(here, 3, 100);
  kept.at(-1)!();
  deepEqual(await readEvents(stream, 98), numbers(3, 100));
  ok(there.hub.stats.tailBytes < (HISTORY + 1) * 600, "only the history is in memory");
  await stream.cancel();
});

Deno.test("A new subscriber gets no cleared event when its log read began before the clear", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  await publishNumbers(service, 1, 3);
  const held = pause("answer");
  kv.script("next", held.fault);
  const arriving = service.subscribe("p_a/sse");
  await held.reached;
  await service.hub.clear("p_a");
  held.release();
  const stream = await arriving;
  deepEqual(await readReplay(service), [liveMarker(0)]);
  await stream.cancel();
});

Deno.test("A new subscriber gets no cleared event when a repair finds a lost clear", async () => {
  const { hubs, here, there, stream } = await createUnconnectedHub();
  await using _ = hubs;
  await here.hub.clear("p_a");
  await readReplay(there, "", lastEventIdHeader(UNKNOWN_ID));
  deepEqual(await readReplay(there), [liveMarker(0)]);
  await stream.cancel();
});

Deno.test("A new subscriber gets no cleared event when its commit arrives after the clear", async () => {
  const { hubs, network, here, there, stream, kept } = await createUnconnectedHub();
  await using _ = hubs;
  await publishNumbers(here, 3, 12);
  await here.hub.clear("p_a");
  network.route = deliver;
  const clear = kept.pop()!;
  for (const deliver of [clear, ...kept]) deliver();
  await flush();
  await advanceUntil(hubs.clock, publishNumbers(here, 13, 13));
  deepEqual(await readReplay(there), [13, liveMarker(1)]);
  await stream.cancel();
});

Deno.test("An isolate ignores a message when it is of another epoch", async () => {
  const { hubs, network, here, there, stream } = await createUnconnectedHub();
  await using _ = hubs;
  network.route = (message, deliver) => deliver({ ...message, epoch: "AAAAAAAAAAA" } as Change);
  await publishNumbers(here, 3, 3);
  await flush();
  deepEqual(await readEvents(stream, 1), [3], "read from the log");
  network.route = (_message, deliver) =>
    deliver({ pipeline: "p_a", epoch: "AAAAAAAAAAA", oldest: 5 });
  await publishNumbers(here, 4, 4);
  deepEqual(await readEvents(stream, 1), [4], "read from the log");
  deepEqual(await readReplay(there), [1, 2, 3, 4, liveMarker(4)], "another epoch was cleared");
  await stream.cancel();
});

Deno.test("A new subscriber gets no cleared event when a commit reveals a lost clear", async () => {
  const { hubs, here, there, stream, kept } = await createUnconnectedHub();
  await using _ = hubs;
  await here.hub.clear("p_a");
  await advanceUntil(hubs.clock, publishNumbers(here, 3, 3));
  kept.at(-1)!();
  await flush();
  equal(there.hub.repairs.gap, 0);
  deepEqual(await readReplay(there), [3, liveMarker(1)]);
  await stream.cancel();
});

Deno.test("A new subscriber gets no cleared event when the clear was applied past its deadline", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  await publishNumbers(service, 1, 2);
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  const commit = pause("call");
  kv.script("commit", commit.fault);
  const refused = rejects(service.hub.clear("p_a"), { type: "log-unavailable" });
  await commit.reached;
  service.clock.advance(3000);
  await refused;
  commit.release();
  await commit.done;
  await advanceUntil(service.clock, publishNumbers(service, 3, 3));
  deepEqual(await readReplay(service), [3, liveMarker(1)]);
  deepEqual(await readEvents(stream, 1), [3]);
  await stream.cancel();
});

Deno.test("A drain ends streams with the last events when a repair read an older head", async () => {
  const { hubs, here, there, stream } = await createUnconnectedHub();
  await using _ = hubs;
  const held = pause("answer");
  hubs.there.kv.script("get", held.fault);
  const foreign = there.subscribe("p_a/sse", lastEventIdHeader(UNKNOWN_ID)).catch(() => null);
  await held.reached;
  await publishNumbers(here, 3, 4);
  await there.hub.stopPublishing(0);
  const catchingUp = there.hub.catchUp(300);
  await flush();
  held.release();
  await catchingUp;
  await there.hub.close();
  deepEqual(await readEvents(stream, 3), [3, 4]);
  await (await foreign)?.cancel();
});
