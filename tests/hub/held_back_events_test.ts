/**
 * Events that wait for a pass of the fan-out: all that ends a stream, or drops
 * events, sends them first.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, fail, strictEqual as equal } from "node:assert/strict";
import { FanOut, SLICE } from "../../lib/hub/fan_out.ts";
import { HistoryStarts } from "../../lib/hub/history_starts.ts";
import type { Subscription } from "../../lib/hub/subscription.ts";
import type { Audience, Passes } from "../../lib/hub/passes.ts";
import { Pipeline } from "../../lib/hub/pipeline.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { PageReader } from "../../lib/stream/page_reader.ts";
import type { Follower } from "../../lib/sync/sync.ts";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { describeEvent, liveMarker, publishNumbers, readEvents } from "../support/events.ts";
import { createTestLog, textEvent } from "../support/log.ts";
import { startService, type TestService } from "../support/service.ts";
import { advanceUntil, flush, until } from "../support/wait.ts";

/** A live subscriber that waits for events, one of which was published and is held back. */
async function holdBack(subscription: Subscription = {}) {
  const service = await startService({ settings: { RUNNEL_MAX_STREAM_AGE_MS: "30000" } });
  const stream = new StreamReader(await service.hub.subscribe("p_a", subscription));
  deepEqual(await readEvents(stream, 1), [liveMarker(0)]);
  const received: unknown[] = [];
  const ended = (async () => {
    for (let event; (event = await stream.event());) received.push(describeEvent(event));
  })();
  await flush();
  service.clock.holdTurns();
  await publishNumbers(service, 1, 1);
  await flush();
  deepEqual(received, []);
  return { service, stream, received, ended };
}

async function end(service: TestService, stream: StreamReader): Promise<void> {
  await stream.cancel();
  await service[Symbol.asyncDispose]();
}

Deno.test("Hub answers a publish before its event goes out", async () => {
  const { service, stream, received } = await holdBack();
  service.clock.turn();
  await until(() => received.length > 0);
  deepEqual(received, [1]);
  await end(service, stream);
});

Deno.test("Hub sends what is held back before a drain ends the stream", async () => {
  const { service, received, ended } = await holdBack();
  await service[Symbol.asyncDispose]();
  await ended;
  deepEqual(received, [1]);
});

Deno.test("Hub sends what is held back before a token's expiry ends the stream", async () => {
  const { service, received, ended } = await holdBack({ endsAt: Date.UTC(2026, 0, 1) + 5000 });
  service.clock.advance(5000);
  await ended;
  deepEqual(received, [1, ["runnel.expired", { reason: "expired" }]]);
  await service[Symbol.asyncDispose]();
});

Deno.test("Hub sends what is held back before a stream ends because of its age", async () => {
  const { service, received, ended } = await holdBack();
  // It is looked at with each keep-alive.
  for (let i = 0; i < 10; i++) {
    service.clock.advance(5000);
    await flush();
  }
  await ended;
  deepEqual(received, [1]);
  await service[Symbol.asyncDispose]();
});

for (const how of ["signal", "revoked"] as const) {
  Deno.test(`Hub sends what is held back before ${how} ends the stream`, async () => {
    const controller = new AbortController();
    const { service, received, ended } = await holdBack({ [how]: controller.signal });
    controller.abort();
    await ended;
    deepEqual(received.slice(0, 1), [1]);
    equal(received.length, how === "revoked" ? 2 : 1);
    await service[Symbol.asyncDispose]();
  });
}

Deno.test("Hub sends what is held back before a clear drops it", async () => {
  const { service, stream, received } = await holdBack();
  await service.hub.clear("p_a");
  await until(() => received.length > 0);
  // The head that the writer knows is outdated: it tries again a moment later.
  await advanceUntil(service.clock, publishNumbers(service, 2, 2));
  service.clock.turn();
  await until(() => received.length > 1);
  deepEqual(received, [1, 2]);
  await end(service, stream);
});

Deno.test("Hub sends what is held back before a deletion replaces the log", async () => {
  const { service, stream, received } = await holdBack();
  await service.hub.delete("p_a");
  for (let i = 0; i < 5; i++) {
    await flush();
    service.clock.turn();
  }
  await until(() => received.length > 2);
  deepEqual(received.slice(0, 2), [1, ["runnel.gap", { missed: null, reason: "unknown" }]]);
  await end(service, stream);
});

Deno.test("Hub holds nothing back from a subscriber that comes, and sends it nothing twice", async () => {
  const { service, stream } = await holdBack();
  const other = new StreamReader(await service.hub.subscribe("p_a"));
  deepEqual(await readEvents(other, 2), [1, liveMarker(1)]);
  const next = readEvents(other, 1);
  await flush();
  await publishNumbers(service, 2, 2);
  service.clock.turn();
  deepEqual(await next, [2]);
  await other.cancel();
  await end(service, stream);
});

Deno.test("Hub keeps a stream alive whose events are held back", async () => {
  const { service, stream } = await holdBack();
  service.clock.advance(15_000);
  await until(() => stream.text.includes(":keepalive"));
  equal(stream.text.includes("data: 1"), false);
  await end(service, stream);
});

Deno.test("Hub sends a subscriber that lags what others have already", async () => {
  const { service, stream, received } = await holdBack();
  const slow = new StreamReader(await service.hub.subscribe("p_a", { history: rangeOfNewest(0) }));
  deepEqual(await readEvents(slow, 1), [liveMarker(0)]);
  await publishNumbers(service, 2, 3);
  service.clock.turn();
  await until(() => received.length > 2);
  // It has asked for nothing since.
  deepEqual(await readEvents(slow, 2), [2, 3]);
  await slow.cancel();
  await end(service, stream);
});

Deno.test("Hub makes one chunk for all subscribers, though events come between their slices", async () => {
  const service = await startService({ settings: { RUNNEL_MAX_PIPELINE_SUBSCRIBERS: "300" } });
  const streams = await Promise.all(
    Array.from({ length: 2 * SLICE }, () => service.hub.subscribe("p_a")),
  );
  const readers = streams.map((stream) => stream.getReader());
  const decoder = new TextDecoder();
  for (const reader of readers) {
    while (!decoder.decode((await reader.read()).value).includes("runnel.live"));
  }
  const reads = readers.map((reader) => reader.read());
  await flush();
  service.clock.holdTurns();
  await publishNumbers(service, 1, 2);
  service.clock.turn();
  await publishNumbers(service, 3, 3);
  for (let i = 0; i < 2; i++) service.clock.turn();
  const chunks = new Set((await Promise.all(reads)).map(({ value }) => value));
  equal(chunks.size, 1);
  for (const reader of readers) await reader.cancel();
  await service[Symbol.asyncDispose]();
});

/** A fan-out that records how many events each pass was requested for. */
class RecordingFanOut extends FanOut {
  readonly requests: number[] = [];

  override passesOf(audience: Audience): Passes {
    const passes = super.passesOf(audience);
    const request = passes.request.bind(passes);
    passes.request = (events) => {
      this.requests.push(events);
      request(events);
    };
    return passes;
  }
}

Deno.test("Pipeline requests each pass for the number of events that are new", async () => {
  const { log, clock, commits, advanceUntil } = await createTestLog();
  const runtime = { clock, report: (message: string) => fail(message) };
  const metrics = createMetrics();
  const fanOut = new RecordingFanOut(runtime, metrics);
  let follower: Follower;
  using pipeline = new Pipeline("p_a", {
    log,
    pages: new PageReader(log),
    starts: new HistoryStarts(log),
    fanOut,
    runtime,
    metrics,
    limits: { events: 10, bytes: 1 },
    onGrowth() {},
    onIdle() {},
    sync: {
      follow(_pipeline, each) {
        follower = each;
        return { [Symbol.dispose]() {} };
      },
    },
  });
  await pipeline.catchUp();
  for (const count of [1, 3, 2]) {
    const events = Array.from({ length: count }, () => textEvent("x"));
    await advanceUntil(log.append("p_a", events));
    follower!.onChange(commits.at(-1)!);
  }
  deepEqual(fanOut.requests, [0, 1, 3, 2]);
  await log.close();
});
