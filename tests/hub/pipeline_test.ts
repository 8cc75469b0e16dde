import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { FanOut } from "../../lib/hub/fan_out.ts";
import { HistoryStarts } from "../../lib/hub/history_starts.ts";
import { Pipeline } from "../../lib/hub/pipeline.ts";
import { headKey } from "../../lib/log/keys.ts";
import { replaceSecret } from "../../lib/log/unwritten.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { PageReader } from "../../lib/stream/page_reader.ts";
import type { Follower } from "../../lib/sync/sync.ts";
import type { ReceivedEvent } from "../support/clients/stream_reader.ts";
import {
  describeEvent,
  lastEventIdHeader,
  liveMarker,
  numbers,
  publishNumbers,
  readEvents,
  readReplay,
  UNKNOWN_GAP,
  UNKNOWN_ID,
} from "../support/events.ts";
import { collectReports } from "../support/fakes/reporter.ts";
import { fail, FaultyKv, passThrough, pause, type PausedCall } from "../support/fakes/kv.ts";
import { createTestLog, storedSegments } from "../support/log.ts";
import { assertIdle, startService } from "../support/service.ts";
import { startTwoInstances } from "../support/two_instances.ts";
import { advanceUntil, flush } from "../support/wait.ts";
const HISTORY = 5;
const settings = { RUNNEL_HISTORY: String(HISTORY) };

/** Holds the nth call to a store from now on. */
function holdNth(kv: FaultyKv, n: number, what: "call" | "answer"): PausedCall {
  const held = pause(what);
  let calls = 0;
  kv.fallback = () => calls++ === n ? held.fault : passThrough;
  return held;
}

/**
 * Asserts that a stream sent all events up to `last`, none of them twice, and the
 * live marker in its place.
 */
function assertWhole(events: readonly ReceivedEvent[], after: number | null, last: number): void {
  const told = events.map(describeEvent);
  const seam = told.findIndex((said) => Array.isArray(said));
  const sequences = told.toSpliced(seam, 1);
  const first = after === null ? last - sequences.length + 1 : after + 1;
  deepEqual(sequences, numbers(first, last), JSON.stringify(told));
  deepEqual(told[seam], liveMarker(seam));
  equal(events[seam]!.id!.split("-").at(-1), String(first + seam - 1));
  if (after === null) equal(seam, Math.min(HISTORY, first + seam - 1), "the whole history");
}

/** Number of events, sequence after which the subscriber resumes, and whether the pipeline is live. */
const ARRIVALS: [string, number, number | null, boolean][] = [
  ["fresh to a pipeline that nobody wrote to", 0, null, false],
  ["fresh to a pipeline", 12, null, false],
  ["fresh to a pipeline that is live", 12, null, true],
  ["resuming within the tail", 12, 9, false],
  ["resuming within the tail of a pipeline that is live", 12, 9, true],
  ["resuming behind the tail", 12, 2, false],
  ["resuming behind the tail of a pipeline that is live", 12, 2, true],
];

for (const [how, count, after, isLive] of ARRIVALS) {
  for (const what of ["call", "answer"] as const) {
    Deno.test(`Pipeline.subscribe() ${how} has no hole and no duplicate around the ${what} of any read`, async () => {
      let held = true;
      let n = 0;
      for (; held; n++) {
        const kv = new FaultyKv(await Deno.openKv(":memory:"));
        await using service = await startService({
          settings,
          open: () => Promise.resolve(kv),
        });
        const ids = await publishNumbers(service, 1, count);
        const other = isLive ? await service.subscribe("p_a/sse") : null;
        const pause = holdNth(kv, n, what);
        held = false;
        pause.reached.then(() => held = true);
        const session = (async () => {
          const headers = after === null ? {} : lastEventIdHeader(ids[after - 1]);
          const stream = await service.subscribe("p_a/sse", headers);
          const events = await stream.until("runnel.live");
          return { stream, events };
        })();
        await Promise.race([pause.reached, session]);
        kv.fallback = () => passThrough;
        await publishNumbers(service, count + 1, count + 3);
        pause.release();
        const { stream, events } = await advanceUntil(service.clock, session);
        await publishNumbers(service, count + 4, count + 4);
        while (events.at(-1)!.data !== String(count + 4)) events.push((await stream.event())!);
        assertWhole(events, after, count + 4);
        await stream.cancel();
        await other?.cancel();
        await assertIdle(service);
      }
      ok(n > 1 || isLive, `${n} reads were held`);
    });
  }
}

Deno.test("Pipeline stays live for a pending subscriber when the last one leaves", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  await publishNumbers(service, 1, 1);
  const first = await service.subscribe("p_a/sse");
  await first.until("runnel.live");
  const held = pause("call");
  kv.script("get", held.fault);
  const arriving = service.subscribe("p_a/sse", lastEventIdHeader(UNKNOWN_ID));
  await held.reached;
  await first.cancel();
  equal(service.hub.stats.pipelines, 1);
  held.release();
  const second = await arriving;
  deepEqual(await readEvents(second, 3), [UNKNOWN_GAP, 1, liveMarker(1)]);
  await publishNumbers(service, 2, 2);
  deepEqual(await readEvents(second, 1), [2]);
  await second.cancel();
  await assertIdle(service);
});

Deno.test("Pipeline.subscribe() repairs a lagging tail before it calls an ID foreign", async () => {
  await using hubs = await startTwoInstances();
  const [here, there] = [hubs.here.service, hubs.there.service];
  await publishNumbers(here, 1, 2);
  const stream = await there.subscribe("p_a/sse");
  deepEqual(await readEvents(stream, 3), [1, 2, liveMarker(2)]);
  const ids = await publishNumbers(here, 3, 300);
  deepEqual(await readReplay(there, "", lastEventIdHeader(ids[200])), [
    ...numbers(204, 300),
    liveMarker(97),
  ]);
  deepEqual(await readEvents(stream, 298), numbers(3, 300));
  deepEqual(await readReplay(there, "", lastEventIdHeader(ids.at(-1))), [liveMarker(0)]);
  await stream.cancel();
  await assertIdle(there);
});

Deno.test("Pipeline.subscribe() reads the log again when a repair began before the ID was committed", async () => {
  await using hubs = await startTwoInstances();
  const [here, there] = [hubs.here.service, hubs.there.service];
  await publishNumbers(here, 1, 2);
  const stream = await there.subscribe("p_a/sse");
  const held = pause("answer");
  hubs.there.kv.script("get", held.fault);
  const stranger = there.subscribe("p_a/sse", lastEventIdHeader(UNKNOWN_ID));
  await held.reached;
  const [, id] = await publishNumbers(here, 3, 4);
  const arriving = there.subscribe("p_a/sse", lastEventIdHeader(id));
  await flush();
  held.release();
  const arrived = await arriving;
  deepEqual(await readEvents(arrived, 1), [liveMarker(0)]);
  for (const each of [await stranger, arrived, stream]) await each.cancel();
});

Deno.test("Pipeline.subscribe() reads the log once for a foreign ID, and never for a known one", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ open: () => Promise.resolve(kv) });
  const ids = await publishNumbers(service, 1, 3);
  const stream = await service.subscribe("p_a/sse");
  let { get } = kv.calls;
  await readReplay(service, "", lastEventIdHeader(ids[1]));
  equal(kv.calls.get, get);
  await readReplay(service, "", lastEventIdHeader("nonsense"));
  equal(kv.calls.get, get);
  deepEqual(await readReplay(service, "", lastEventIdHeader(UNKNOWN_ID)), [
    UNKNOWN_GAP,
    1,
    2,
    3,
    liveMarker(3),
  ]);
  equal(kv.calls.get, ++get);
  await stream.cancel();
});

for (const count of [1, 3]) {
  Deno.test(`Pipeline starts again with a gap event when its log is replaced after ${count} events`, async () => {
    const kv = new FaultyKv(await Deno.openKv(":memory:"));
    await using service = await startService({ open: () => Promise.resolve(kv) });
    const [old] = await publishNumbers(service, 1, count);
    const stream = await service.subscribe("p_a/sse");
    await stream.until("runnel.live");
    for (const last of await storedSegments(kv, "p_a")) {
      await kv.atomic().delete(["log", "p_a", last]).commit();
    }
    await kv.atomic().delete(headKey("p_a")).commit();
    await replaceSecret(kv);
    const [id] = await advanceUntil(service.clock, publishNumbers(service, 101, 102));
    const events = await stream.events(3);
    ok(id!.endsWith("-1") && id !== old);
    deepEqual(events.map(describeEvent), [UNKNOWN_GAP, 101, 102]);
    equal(events[1]!.id, id);
    deepEqual(await readReplay(service, "", lastEventIdHeader(old)), [
      UNKNOWN_GAP,
      101,
      102,
      liveMarker(2),
    ]);
    await stream.cancel();
  });
}

Deno.test("Pipeline.page() repairs a tail that is ahead of its log, as after the restore of a backup", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({ settings, open: () => Promise.resolve(kv) });
  const ids = await publishNumbers(service, 1, 20);
  const { value: backup } = await kv.inner.get(headKey("p_a"));
  await publishNumbers(service, 21, 50);
  const other = await service.subscribe("p_a/sse");
  await other.until("runnel.live");
  for (const last of await storedSegments(kv, "p_a")) {
    if (last > 20) await kv.inner.atomic().delete(["log", "p_a", last]).commit();
  }
  await kv.inner.atomic().set(headKey("p_a"), backup).commit();
  const stream = await service.subscribe("p_a/sse", lastEventIdHeader(ids[1]));
  deepEqual(await readEvents(stream, 7), [UNKNOWN_GAP, ...numbers(16, 20), liveMarker(5)]);
  for (const each of [stream, other]) await each.cancel();
});

Deno.test("Pipeline reports a repair that failed after a head was observed", async () => {
  const { log, kv, clock } = await createTestLog();
  const reports: string[] = [];
  let follower: Follower | undefined;
  const runtime = { clock, report: collectReports(reports) };
  using _pipeline = new Pipeline("p_a", {
    log,
    pages: new PageReader(log),
    starts: new HistoryStarts(log),
    fanOut: new FanOut(runtime, createMetrics()),
    runtime,
    metrics: createMetrics(),
    limits: { events: 1, bytes: 1 },
    onGrowth() {},
    onIdle() {},
    sync: {
      follow(_pipeline, each) {
        follower = each;
        return { [Symbol.dispose]() {} };
      },
    },
  });
  kv.script("get", fail());
  const head = { epoch: "AAECAwQFBgc", sequence: 1, cleared: 0 };
  equal(await follower!.onHead(head, "watch"), false);
  deepEqual(reports, ["Cannot repair the tail of a pipeline"]);
  await log.close();
});

/** A hub without channels whose tail has fallen behind the log that the other writes. */
async function createLaggingHub() {
  const hubs = await startTwoInstances({ settings });
  const [here, there] = [hubs.here.service, hubs.there.service];
  const ids = await publishNumbers(here, 1, 50);
  const other = await there.subscribe("p_a/sse");
  await publishNumbers(here, 51, 60);
  return { hubs, here, there, ids, other };
}

Deno.test("Pipeline.page() repairs a tail that is behind the page", async () => {
  const { hubs, there, ids, other } = await createLaggingHub();
  await using _ = hubs;
  const stream = await there.subscribe("p_a/sse", lastEventIdHeader(ids[1]));
  deepEqual(await readEvents(stream, 59), [...numbers(3, 50), liveMarker(48), ...numbers(51, 60)]);
  for (const each of [stream, other]) await each.cancel();
  await assertIdle(there);
});

Deno.test("Pipeline.page() gets the events of its page when a repair in progress read an older head", async () => {
  await using hubs = await startTwoInstances({ settings });
  const [here, there] = [hubs.here.service, hubs.there.service];
  const ids = await publishNumbers(here, 1, 50);
  const other = await there.subscribe("p_a/sse");
  const held = pause("answer");
  hubs.there.kv.script("get", held.fault);
  const foreign = there.subscribe("p_a/sse", lastEventIdHeader(UNKNOWN_ID));
  await held.reached;
  await publishNumbers(here, 51, 60);
  const stream = await there.subscribe("p_a/sse", lastEventIdHeader(ids[1]));
  const events = readEvents(stream, 59);
  await flush();
  held.release();
  deepEqual(await events, [...numbers(3, 50), liveMarker(48), ...numbers(51, 60)]);
  for (const each of [await foreign, stream, other]) await each.cancel();
  await assertIdle(there);
});

Deno.test("Pipeline.page() repairs a tail whose events, and later ones, were cleared", async () => {
  const { hubs, here, there, ids, other } = await createLaggingHub();
  await using _ = hubs;
  await here.hub.clear("p_a");
  const stream = await there.subscribe("p_a/sse", lastEventIdHeader(ids[1]));
  const cleared = ["runnel.gap", { missed: 58, reason: "cleared" }];
  deepEqual(await readEvents(stream, 2), [cleared, liveMarker(0)]);
  for (const each of [stream, other]) await each.cancel();
});
