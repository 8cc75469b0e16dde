/**
 * The end of a run, as subscribers see it: in this isolate, in another one, and
 * where the message about it is lost.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import type { Subscription } from "../../lib/hub/subscription.ts";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import {
  describeEvent,
  gapMarker,
  jsonEvent,
  liveMarker,
  numbers,
  publishNumbers,
  subscribeToHub,
  UNKNOWN_GAP,
  UNKNOWN_ID,
} from "../support/events.ts";
import { FakeChannels } from "../support/fakes/broadcast.ts";
import { assertIdle, startService, type TestService } from "../support/service.ts";
import { startTwoInstances } from "../support/two_instances.ts";
import { advanceUntil, flush } from "../support/wait.ts";

const RUN_ENDED = { type: "run-ended" };

const endMarker = (events: number) => ["runnel.end", { events }];

/** Reads a stream to its end, which has to come by itself. */
async function readAll(stream: StreamReader): Promise<unknown[]> {
  const received: unknown[] = [];
  for (let event; (event = await stream.event());) received.push(describeEvent(event));
  return received;
}

/** Subscribes, and reads the stream to its end. */
async function readRun(
  { hub }: TestService,
  subscription: Subscription = {},
): Promise<unknown[]> {
  return await readAll(new StreamReader(await hub.subscribe("p_a", subscription)));
}

Deno.test("A stream sends the last events, then the end, and closes", async () => {
  await using service = await startService();
  const stream = await subscribeToHub(service);
  await publishNumbers(service, 1, 2);
  await service.hub.publish("p_a", [jsonEvent(3)], { end: true });
  deepEqual(await readAll(stream), [liveMarker(0), 1, 2, 3, endMarker(3)]);
  await assertIdle(service);
});

Deno.test("A stream ends without new events", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 2);
  const stream = await subscribeToHub(service);
  const received = readAll(stream);
  await flush();
  await service.hub.publish("p_a", [], { end: true });
  deepEqual(await received, [1, 2, liveMarker(2), endMarker(2)]);
});

Deno.test("A filtered stream gets the end, too", async () => {
  await using service = await startService();
  const stream = new StreamReader(await service.hub.subscribe("p_a", { channels: ["other"] }));
  const received = readAll(stream);
  await publishNumbers(service, 1, 2);
  await service.hub.publish("p_a", [{ ...jsonEvent("x"), channel: "other" }, jsonEvent(3)], {
    end: true,
  });
  deepEqual(await received, [liveMarker(0), "x", endMarker(4)]);
  deepEqual(await readRun(service, { channels: ["other"] }), ["x", liveMarker(1), endMarker(4)]);
});

Deno.test("A client that comes after the end gets the history, the marker, and the end", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 120);
  await service.hub.publish("p_a", [], { end: true });
  deepEqual(await readRun(service), [...numbers(21, 120), liveMarker(100), endMarker(120)]);
  deepEqual(await readRun(service, { history: rangeOfNewest(3) }), [
    118,
    119,
    120,
    liveMarker(3),
    endMarker(120),
  ]);
  deepEqual(await readRun(service, { history: rangeOfNewest(0) }), [liveMarker(0), endMarker(120)]);
  deepEqual(await readRun(service, { history: rangeOfNewest(Infinity) }), [
    ...numbers(1, 120),
    liveMarker(120),
    endMarker(120),
  ]);
});

Deno.test("A client that comes back from within the run gets the rest, and the end", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 5);
  await service.hub.publish("p_a", [], { end: true });
  deepEqual(await readRun(service, { lastEventId: ids[2] }), [4, 5, liveMarker(2), endMarker(5)]);
  deepEqual(await readRun(service, { lastEventId: ids[4] }), [liveMarker(0), endMarker(5)]);
});

Deno.test("A client that comes back from the end gets nothing more", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 2);
  const { epoch, end } = await service.hub.publish("p_a", [], { end: true });
  const lastEventId = `${epoch}-${end}`;
  await rejects(service.hub.subscribe("p_a", { lastEventId }), RUN_ENDED);
  await assertIdle(service);
  // Also after a clear, and while it has other subscribers.
  await advanceUntil(service.clock, service.hub.clear("p_a"));
  await rejects(service.hub.subscribe("p_a", { lastEventId }), RUN_ENDED);
  deepEqual(await readRun(service), [liveMarker(0), endMarker(2)]);
});

for (
  const [name, subscription, before] of [
    ["without an ID", {}, 3],
    ["without a history", { history: rangeOfNewest(0) }, 3],
    ["with a filter that matches nothing", { channels: ["other"] }, 3],
    ["with a filter that matches one event", { channels: ["events"] }, 3],
    ["from another log", { lastEventId: UNKNOWN_ID }, 3],
  ] as const
) {
  Deno.test(`No ID before the end is that of the end, for a client ${name}, which may lose its connection`, async () => {
    await using service = await startService();
    await publishNumbers(service, 1, 3);
    const { epoch } = await service.hub.publish("p_a", [], { end: true });
    for (const isCleared of [false, true]) {
      if (isCleared) await advanceUntil(service.clock, service.hub.clear("p_a"));
      const events = await new StreamReader(await service.hub.subscribe("p_a", subscription))
        .events(Infinity);
      equal(events.at(-1)!.id, `${epoch}-4`);
      equal(events.at(-2)!.type, "runnel.live");
      equal(events.at(-2)!.id, `${epoch}-${before}`);
      deepEqual(await readRun(service, { lastEventId: events.at(-2)!.id }), [
        liveMarker(0),
        endMarker(3),
      ]);
    }
  });
}

Deno.test("A client of a run that was cleared after its end misses its events, and not the end", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 3);
  await service.hub.publish("p_a", [], { end: true });
  await advanceUntil(service.clock, service.hub.clear("p_a"));
  for (const channels of [[], ["other"]]) {
    const stream = await service.hub.subscribe("p_a", { lastEventId: ids[0], channels });
    const events = await new StreamReader(stream).events(Infinity);
    deepEqual(events.map(describeEvent), [
      gapMarker(2, "cleared"),
      liveMarker(0),
      endMarker(3),
    ]);
    equal(events[0]!.id, ids[2]);
  }
  deepEqual(await readRun(service, { lastEventId: ids[2] }), [liveMarker(0), endMarker(3)]);
});

Deno.test("An end of another epoch is none: after a deletion there is a gap and the history", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 2);
  const { epoch, end } = await service.hub.publish("p_a", [], { end: true });
  await advanceUntil(service.clock, service.hub.delete("p_a"));
  await service.publish("p_a", "events", 4);
  const lastEventId = `${epoch}-${end}`;
  const stream = new StreamReader(await service.hub.subscribe("p_a", { lastEventId }));
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [
    UNKNOWN_GAP,
    4,
    liveMarker(1),
  ]);
  await service.hub.publish("p_a", [], { end: true });
  deepEqual(await readAll(stream), [endMarker(1)]);
});

Deno.test("A client of a log that was cleared before its end learns of the gap, and the end", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 3);
  await advanceUntil(service.clock, service.hub.clear("p_a"));
  await advanceUntil(service.clock, service.hub.publish("p_a", [], { end: true }));
  deepEqual(await readRun(service, { lastEventId: ids[0] }), [
    ["runnel.gap", { missed: 2, reason: "cleared" }],
    liveMarker(0),
    endMarker(3),
  ]);
});

Deno.test("A subscriber of another isolate gets the end, though the broadcast is lost", async () => {
  const network = new FakeChannels();
  network.route = () => {};
  await using instances = await startTwoInstances({ Channel: network.Channel });
  const { here, there, clock } = instances;
  const stream = await subscribeToHub(there.service);
  const received = readAll(stream);
  await flush();
  await here.service.hub.publish("p_a", [jsonEvent(1)], { end: true });
  deepEqual(await advanceUntil(clock, received, 1000), [liveMarker(0), 1, endMarker(1)]);
  equal(there.service.hub.stats.subscribers, 0);
  const late = there.service.hub.publish("p_a", [jsonEvent(2)]);
  await rejects(advanceUntil(clock, late), RUN_ENDED);
});
