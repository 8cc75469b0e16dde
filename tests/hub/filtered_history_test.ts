import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { headKey, segmentKey } from "../../lib/log/keys.ts";
import { replaceSecret } from "../../lib/log/unwritten.ts";
import { drain } from "../support/drain.ts";
import { describeEvent, gapMarker, liveMarker, numbers, UNKNOWN_GAP } from "../support/events.ts";
import { FaultyKv, passThrough, pause } from "../support/fakes/kv.ts";
import { trimBelow } from "../support/log.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { assertIdle, jsonPost, startService, type TestService } from "../support/service.ts";
import { advanceUntil } from "../support/wait.ts";

const CHANNELS = ["a", "b", "c", "d"];

/** Publishes events with their numbers as payloads, on the given channels, in one request. */
async function publish(
  service: TestService,
  channels: readonly string[],
  first: number,
): Promise<void> {
  const events = channels.map((channel, i) => ({ pipeline: "p_a", channel, payload: first + i }));
  equal((await service.fetch(jsonPost("/ingest", events))).status, 202);
}

async function historyOf(service: TestService, query: string): Promise<number[]> {
  const response = await service.fetch(
    new Request(`http://localhost/pipelines/p_a/events${query}`),
  );
  const { events } = await response.json();
  return events.map(({ payload }: { payload: number }) => payload);
}

/** Rare channels, so that their history reaches far back, and requests of any size. */
const requests = fc.array(
  fc.array(fc.nat(99).map((n) => CHANNELS[n < 90 ? 0 : n < 96 ? 1 : n < 99 ? 2 : 3]!), {
    minLength: 1,
    maxLength: 40,
  }),
  { minLength: 1, maxLength: 12 },
);

Deno.test("A filtered history is the newest events of its channels, and all later ones follow", async () => {
  await fc.assert(
    fc.asyncProperty(
      requests,
      requests,
      fc.subarray(CHANNELS, { minLength: 1 }),
      fc.integer({ min: 0, max: 20 }),
      fc.boolean(),
      async (before, after, filter, count, isLive) => {
        await using service = await startService({ settings: { RUNNEL_HISTORY: "20" } });
        const other = isLive ? await service.subscribe("p_a/sse") : null;
        const channels: string[] = [];
        for (const request of before) {
          await publish(service, request, channels.length + 1);
          channels.push(...request);
        }
        const query = `?history=${count}${filter.map((name) => `&channel=${name}`).join("")}`;
        const kept = (from: number) =>
          numbers(from, channels.length).filter((i) => filter.includes(channels[i - 1]!));
        const expected = count === 0 ? [] : kept(1).slice(-count);
        deepEqual(await historyOf(service, query), expected);
        const stream = await service.subscribe(`p_a/sse${query}`);
        deepEqual((await stream.until("runnel.live")).map(describeEvent), [
          ...expected,
          liveMarker(expected.length),
        ]);
        const seam = channels.length;
        for (const request of after) {
          await publish(service, request, channels.length + 1);
          channels.push(...request);
        }
        const news = kept(seam + 1);
        deepEqual((await stream.events(news.length)).map(describeEvent), news);
        await stream.cancel();
        await other?.cancel();
        await assertIdle(service);
      },
    ),
    { ...repetitions(12), endOnFailure: true },
  );
});

Deno.test("A filtered history reaches as far back as the scan: 1 MiB", async () => {
  await using service = await startService();
  await publish(service, ["rare"], 1);
  const large = { pipeline: "p_a", channel: "often", payload: "x".repeat(50_000) };
  for (let i = 2; i <= 16; i++) await service.fetch(jsonPost("/ingest", large));
  await publish(service, ["rare"], 17);
  // 15 times 50 KB are within the bound.
  deepEqual(await historyOf(service, "?channel=rare"), [1, 17]);
  for (let i = 18; i <= 28; i++) await service.fetch(jsonPost("/ingest", large));
  deepEqual(await historyOf(service, "?channel=rare"), [17]);
  const stream = await service.subscribe("p_a/sse?channel=rare");
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [17, liveMarker(1)]);
  await stream.cancel();
});

Deno.test("A filtered history has what was published after a clear", async () => {
  await using service = await startService({ settings: { RUNNEL_HISTORY: "3" } });
  await publish(service, ["a", "b", "b", "b", "b"], 1);
  deepEqual(await historyOf(service, "?channel=a"), [1]);
  await service.hub.clear("p_a");
  const stream = await service.subscribe("p_a/sse?channel=a");
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [liveMarker(0)]);
  deepEqual(await historyOf(service, "?channel=a"), []);
  // The writer learns of the clear by a commit that fails.
  await advanceUntil(service.clock, publish(service, ["a", "b", "b", "b", "b"], 6));
  const fresh = await service.subscribe("p_a/sse?channel=a");
  deepEqual((await fresh.until("runnel.live")).map(describeEvent), [6, liveMarker(1)]);
  deepEqual(await historyOf(service, "?channel=a"), [6]);
  for (const each of [stream, fresh]) await each.cancel();
});

for (const what of ["call", "answer"] as const) {
  Deno.test(`A filtered subscriber gets no hole and no duplicate around the ${what} of any read`, async () => {
    let isHeld = true;
    let n = 0;
    for (; isHeld; n++) {
      const kv = new FaultyKv(await Deno.openKv(":memory:"));
      await using service = await startService({
        settings: { RUNNEL_HISTORY: "3" },
        open: () => Promise.resolve(kv),
      });
      // Events 1, 11, 21, 31 and 41 are rare.
      const channel = (i: number) => i % 10 === 1 ? "rare" : "often";
      await publish(service, numbers(1, 50).map(channel), 1);
      const held = pause(what);
      let calls = 0;
      kv.fallback = () => calls++ === n ? held.fault : passThrough;
      isHeld = false;
      held.reached.then(() => isHeld = true);
      const arriving = service.subscribe("p_a/sse?channel=rare").then(async (stream) => ({
        stream,
        events: await stream.until("runnel.live"),
      }));
      await Promise.race([held.reached, arriving]);
      kv.fallback = () => passThrough;
      for (const i of [51, 61, 71]) {
        await publish(service, numbers(i, i + 9).map(channel), i);
      }
      held.release();
      const { stream, events } = await advanceUntil(service.clock, arriving);
      await publish(service, ["rare"], 81);
      while (events.at(-1)!.data !== "81") events.push((await stream.event())!);
      const told = events.map(describeEvent);
      const seam = told.findIndex((said) => Array.isArray(said));
      equal(seam, 3, "the whole history");
      deepEqual(told[seam], liveMarker(3));
      const sequences = told.toSpliced(seam, 1) as number[];
      deepEqual(sequences, numbers(sequences[0]! / 10 | 0, 8).map((i) => 10 * i + 1));
      await stream.cancel();
      await assertIdle(service);
    }
    ok(n > 4, `${n} reads were held`);
  });
}

Deno.test("A filtered subscriber gets the history of another log that takes the place of the first", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    settings: { RUNNEL_HISTORY: "3" },
    open: () => Promise.resolve(kv),
  });
  await publish(service, ["rare"], 1);
  const stream = await service.subscribe("p_a/sse?channel=rare");
  await stream.until("runnel.live");
  await kv.atomic().delete(segmentKey("p_a", 1)).delete(headKey("p_a")).commit();
  await replaceSecret(kv);
  // Published elsewhere: nothing of it comes to the tail before it is repaired.
  const elsewhere = await startService({ open: () => Promise.resolve(shareable(kv)) });
  await publish(elsewhere, ["rare", ...numbers(1, 20).map(() => "often")], 101);
  await advanceUntil(service.clock, service.publish("p_a", "often", 122));
  deepEqual((await stream.events(3)).map(describeEvent), [UNKNOWN_GAP, 101, liveMarker(1)]);
  await stream.cancel();
  await drain(elsewhere.hub);
});

Deno.test("A filtered history reads only the pages that have events of its channels", async () => {
  await using service = await startService({ settings: { RUNNEL_HISTORY: "20" } });
  for (let i = 0; i < 8; i++) {
    const channels = numbers(1, 1000).map((n) => n === 500 && i % 4 === 0 ? "rare" : "often");
    await publish(service, channels, 1000 * i + 1);
  }
  const { kv: { calls } } = service;
  const stream = await service.subscribe("p_a/sse?channel=rare");
  const before = calls.next;
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [500, 4500, liveMarker(2)]);
  // Two pages, each of two segments; all events have 16.
  equal(calls.next - before, 4);
  const { next } = calls;
  deepEqual(await historyOf(service, "?channel=rare"), [500, 4500]);
  equal(calls.next - next, 4);
  await stream.cancel();
});

Deno.test("A filtered subscriber that resumes is told of missing events of all channels", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    settings: { RUNNEL_HISTORY: "3" },
    open: () => Promise.resolve(kv),
  });
  const channels = numbers(1, 50).map((i) => i === 40 ? "rare" : "often");
  for (const [i, channel] of channels.entries()) await publish(service, [channel], i + 1);
  const other = await service.subscribe("p_a/sse?channel=rare");
  const events = await other.until("runnel.live");
  deepEqual(events.map(describeEvent), [40, liveMarker(1)]);
  const id = events[0]!.id!.replace(/-40$/, "-5");
  await trimBelow(kv, "p_a", 21);
  const stream = await service.subscribe("p_a/sse?channel=rare", { "Last-Event-ID": id });
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [
    gapMarker(15, "evicted"),
    40,
    liveMarker(1),
  ]);
  for (const each of [stream, other]) await each.cancel();
});

Deno.test("A filtered subscriber is told of all events that are trimmed during its replay", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    settings: { RUNNEL_HISTORY: "3" },
    open: () => Promise.resolve(kv),
  });
  for (const i of numbers(1, 40)) {
    const isRare = [1, 27, 36].includes(i);
    await service.publish("p_a", isRare ? "rare" : "often", isRare ? i : "x".repeat(25_000));
  }
  const stream = await service.subscribe("p_a/sse?channel=rare");
  deepEqual((await stream.events(1)).map(describeEvent), [1]);
  await trimBelow(kv, "p_a", 31);
  const [gap, ...rest] = await stream.until("runnel.live");
  // The first page ended with event 12.
  deepEqual(describeEvent(gap!), gapMarker(18, "evicted"));
  deepEqual(rest.map(describeEvent), [36, liveMarker(2)]);
  await stream.cancel();
});

/** The same store for another service, which must not close it. */
function shareable(kv: FaultyKv): FaultyKv {
  return new FaultyKv({
    get: kv.get.bind(kv),
    getMany: kv.getMany.bind(kv),
    list: kv.list.bind(kv),
    atomic: kv.atomic.bind(kv),
    close() {},
  });
}
