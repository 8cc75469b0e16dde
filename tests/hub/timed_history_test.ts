/**
 * Histories since a time, of streams and of answers.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { headKey, segmentKey } from "../../lib/log/keys.ts";
import { replaceSecret } from "../../lib/log/unwritten.ts";
import { assertProblem } from "../support/clients/http.ts";
import { drain } from "../support/drain.ts";
import {
  describeEvent,
  lastEventIdHeader,
  liveMarker,
  numbers,
  UNKNOWN_GAP,
} from "../support/events.ts";
import { FaultyKv, passThrough, pause } from "../support/fakes/kv.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { seeds } from "../support/model/repetitions.ts";
import { assertIdle, jsonPost, startService, type TestService } from "../support/service.ts";
import { advanceUntil } from "../support/wait.ts";

const CHANNELS = ["a", "b", "c"];
const HOUR_MS = 60 * 60 * 1000;
const START = Date.parse("2026-01-02T03:00:00Z");

/** Publishes events with their numbers as payloads, in one request. */
async function publish(
  service: TestService,
  channels: readonly string[],
  first: number,
): Promise<void> {
  const events = channels.map((channel, i) => ({ pipeline: "p_a", channel, payload: first + i }));
  equal((await service.fetch(jsonPost("/ingest", events))).status, 202);
}

/** Starts a service with events a second apart, the first one a second after the start. */
async function startWith(count: number, open?: () => Promise<FaultyKv>): Promise<TestService> {
  const service = await startService(open ? { open } : {});
  service.clock.set(START);
  for (const i of numbers(1, count)) {
    service.clock.advance(1000);
    await publish(service, [CHANNELS[i % 3]!], i);
  }
  return service;
}

async function historyOf(service: TestService, query: string): Promise<number[]> {
  const response = await service.fetch(
    new Request(`http://localhost/pipelines/p_a/events?${query}`),
  );
  const { events } = await response.json();
  return events.map(({ payload }: { payload: number }) => payload);
}

async function replayOf(service: TestService, query: string, headers = {}): Promise<unknown[]> {
  const stream = await service.subscribe(`p_a/sse?${query}`, headers);
  const events = await stream.until("runnel.live");
  await stream.cancel();
  return events.map(describeEvent);
}

Deno.test("A stream begins with all events since a time, or with the newest of them", async () => {
  await using service = await startWith(150);
  const check = async (query: string, expected: number[]) => {
    deepEqual(await replayOf(service, query), [...expected, liveMarker(expected.length)], query);
    deepEqual(await historyOf(service, query), expected, query);
  };
  for (const isLive of [false, true]) {
    const other = isLive ? await service.subscribe("p_a/sse") : null;
    await check("since=PT3S", [147, 148, 149, 150]);
    await check("since=PT3S&history=2", [149, 150]);
    await check("since=PT8S&channel=a", [144, 147, 150]);
    await check("since=PT8S&channel=a&history=2", [147, 150]);
    await check("since=PT8S&channel=a&history=50", [144, 147, 150]);
    await check("since=2026-01-02T03:02:29.001Z", [150]);
    await check("since=PT8S&history=0", []);
    await check("since=P1W", numbers(1, 150));
    await check(
      "since=2026-01-02T03:02:00Z&history=all&channel=b",
      numbers(40, 49).map((i) => 3 * i + 1),
    );
    await other?.cancel();
  }
  await assertIdle(service);
});

Deno.test("A time does not matter to a stream that resumes", async () => {
  await using service = await startWith(10);
  const { events } = await (await service.fetch(
    new Request("http://localhost/pipelines/p_a/events"),
  )).json();
  const headers = lastEventIdHeader(events[3].id);
  deepEqual(await replayOf(service, "since=PT2S", headers), [5, 6, 7, 8, 9, 10, liveMarker(6)]);
});

Deno.test("A joined stream has the history of each pipeline since a time", async () => {
  await using service = await startWith(5);
  service.clock.advance(1000);
  await service.publish("p_b", "a", "x");
  const response = await service.fetch(
    new Request("http://localhost/sse?pipeline=p_a&pipeline=p_b&since=PT2S&wait=0", {
      headers: { Accept: "application/x-ndjson" },
    }),
  );
  const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  const told = lines.map(({ pipeline, payload }) => [pipeline, payload.replayed ?? payload]);
  deepEqual(told.filter(([pipeline]) => pipeline === "p_a").map(([, said]) => said), [4, 5, 2]);
  deepEqual(told.filter(([pipeline]) => pipeline === "p_b").map(([, said]) => said), ["x", 1]);
  await assertIdle(service);
});

Deno.test("A stream refuses what is no time, and a parameter that is nearly since", async () => {
  await using service = await startService();
  for (const query of ["since=10m", "since=P1Y", "since=", "sinse=PT1M"]) {
    for (const path of ["/pipelines/p_a/sse?", "/sse?pipeline=p_a&"]) {
      const response = await service.fetch(new Request(`http://localhost${path}${query}`));
      await assertProblem(response, 400, "malformed-request");
    }
  }
  await assertIdle(service);
});

Deno.test("Streams that ask for the same time at once share one search", async () => {
  await using service = await startWith(100);
  const { kv: { calls } } = service;
  const { next } = calls;
  await replayOf(service, "since=PT10S");
  const once = calls.next - next;
  const before = calls.next;
  service.clock.advance(1);
  await Promise.all(numbers(1, 50).map(() => replayOf(service, "since=PT10S")));
  // The tail is read once more, since nobody had subscribed in between.
  ok(calls.next - before <= once, `${calls.next - before} reads, after ${once}`);
  await assertIdle(service);
});

for (const what of ["call", "answer"] as const) {
  Deno.test(`A subscriber since a time gets no hole and no duplicate around the ${what} of any read`, async () => {
    let isHeld = true;
    let n = 0;
    for (; isHeld; n++) {
      const kv = new FaultyKv(await Deno.openKv(":memory:"));
      await using service = await startWith(10, () => Promise.resolve(kv));
      const held = pause(what);
      let calls = 0;
      kv.fallback = () => calls++ === n ? held.fault : passThrough;
      isHeld = false;
      held.reached.then(() => isHeld = true);
      const arriving = service.subscribe("p_a/sse?since=2026-01-02T03:00:06Z&channel=a&channel=b")
        .then(async (stream) => ({ stream, events: await stream.until("runnel.live") }));
      await Promise.race([held.reached, arriving]);
      kv.fallback = () => passThrough;
      for (const i of numbers(11, 14)) await publish(service, [CHANNELS[i % 3]!], i);
      held.release();
      const { stream, events } = await advanceUntil(service.clock, arriving);
      await publish(service, ["a"], 15);
      while (events.at(-1)!.data !== "15") events.push((await stream.event())!);
      const told = events.map(describeEvent);
      const seam = told.findIndex((said) => Array.isArray(said));
      deepEqual(told[seam], liveMarker(seam));
      deepEqual(told.toSpliced(seam, 1), numbers(6, 15).filter((i) => i % 3 !== 2), `${n}`);
      await stream.cancel();
      await assertIdle(service);
    }
    ok(n > 6, `${n} reads were held`);
  });
}

Deno.test("A log that takes the place of another in mid-stream begins at the same time", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startWith(1, () => Promise.resolve(kv));
  service.clock.advance(60_000);
  const stream = await service.subscribe("p_a/sse?since=PT10S");
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [liveMarker(0)]);
  await kv.atomic().delete(segmentKey("p_a", 1)).delete(headKey("p_a")).commit();
  await replaceSecret(kv);
  // Published elsewhere: nothing of it comes to the tail before it is repaired.
  const elsewhere = await startService({ open: () => Promise.resolve(shareable(kv)) });
  const from = service.clock.now();
  for (const [i, ms] of [-20_000, -10_001, -10_000, -5_000].entries()) {
    elsewhere.clock.set(from + ms);
    await publish(elsewhere, ["a"], 101 + i);
  }
  await advanceUntil(service.clock, service.publish("p_a", "a", 105));
  // The new event may be counted as history as well.
  const events = (await stream.events(5)).map(describeEvent);
  deepEqual(events.filter((said) => typeof said === "number"), [103, 104, 105]);
  deepEqual(events[0], UNKNOWN_GAP);
  await stream.cancel();
  await drain(elsewhere.hub);
});

for (const seed of seeds(8)) {
  Deno.test(`A history since a time has the right events of a log whose clock is set (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    await using service = await startService({ settings: { RUNNEL_HISTORY: "20" } });
    const { clock } = service;
    clock.set(START);
    const events: { channel: string; time: number }[] = [];
    /** Time of the newest event, which later ones keep up to an hour. */
    let newest = 0;
    let hasStepped = false;
    const isSteppy = random.chance(0.4);
    for (let i = 0; i < 15; i++) {
      if (isSteppy && random.chance(0.15)) {
        clock.set(clock.now() - random.pick([500, HOUR_MS - 1000, 3 * HOUR_MS]));
      } else clock.advance(random.pick([0, 500, 5000, 600_000]));
      const channels = numbers(1, random.integer(1, 20)).map(() => random.pick(CHANNELS));
      const isBack = newest - clock.now() > HOUR_MS;
      hasStepped ||= isBack;
      newest = isBack ? clock.now() : Math.max(newest, clock.now());
      const time = newest;
      await publish(service, channels, events.length + 1);
      for (const channel of channels) events.push({ channel, time });
    }
    for (let i = 0; i < 12; i++) {
      const isDate = random.chance(0.5);
      const at = random.pick(events).time + random.integer(-1, 1);
      const ms = random.integer(0, 3_000_000);
      const since = isDate
        ? Math.min(at, clock.now())
        : Math.floor((clock.now() - ms) / 1000) * 1000;
      const filter = random.chance(0.5) ? [] : random.shuffled(CHANNELS).slice(0, 2);
      const count = random.pick([null, null, 0, 3, 20]);
      const query = new URLSearchParams(filter.map((channel) => ["channel", channel]));
      query.set("since", isDate ? new Date(at).toISOString() : `PT${ms / 1000}S`);
      if (count !== null) query.set("history", `${count}`);
      const kept = (from: number) =>
        numbers(from, events.length).filter((n) =>
          filter.length === 0 || filter.includes(events[n - 1]!.channel)
        ).slice(count === 0 ? Infinity : -(count ?? Infinity));
      const first = events.findIndex(({ time }) => time >= since);
      const exact = kept(first < 0 ? Infinity : first + 1);
      const told = await historyOf(service, `${query}`);
      const message = `${query}`;
      if (!hasStepped) deepEqual(told, exact, message);
      // More may come than is meant, but nothing that is younger is missing.
      else if (count !== 0) {
        const most = kept(1);
        deepEqual(told, most.slice(most.length - told.length), message);
        ok(told.length >= exact.length, message);
      }
      deepEqual(await replayOf(service, `${query}`), [...told, liveMarker(told.length)], message);
    }
    await assertIdle(service);
  });
}

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
