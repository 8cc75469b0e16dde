import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { FanOut } from "../../lib/hub/fan_out.ts";
import { createMetrics, takeSnapshot } from "../../lib/telemetry/metrics.ts";
import { PipelineChannels } from "../../lib/sync/pipeline_channels.ts";
import { lastEventIdHeader, publishNumbers, UNKNOWN_ID } from "../support/events.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { startService } from "../support/service.ts";
import { until } from "../support/wait.ts";

Deno.test("Hub counts streams by their start, what they are sent, and who is there", async () => {
  await using service = await startService();
  const { metrics } = service;
  const ids = await publishNumbers(service, 1, 4);
  const streams = [
    await service.subscribe("p_a/sse"),
    await service.subscribe("p_a/sse", lastEventIdHeader(ids[2])),
    await service.subscribe("p_a/sse?channel=others", lastEventIdHeader(UNKNOWN_ID)),
  ];
  for (const stream of streams) await stream.until("runnel.live");
  await publishNumbers(service, 5, 5);
  for (const stream of streams.slice(0, 2)) await stream.event();
  deepEqual(metrics.streams.read(), [1, 1, 1]);
  equal(metrics.deliveries.value, 4 + 1 + 0 + 2);
  deepEqual(metrics.gaps.read(), [0, 0, 0, 1]);
  const { values } = takeSnapshot(metrics);
  deepEqual([values.subscribers, values.places, values.pipelines], [[3], [3], [1]]);
  equal(values.tailBytes![0]! > 5 * 512, true);
  for (const stream of streams) await stream.cancel();
});

Deno.test("Hub counts the bytes that it sends, keep-alives included", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 2);
  const reader = (await service.hub.subscribe("p_a")).getReader();
  let bytes = 0;
  for (let text = ""; !text.includes(":keepalive");) {
    const reading = reader.read();
    if (text.includes("runnel.live")) service.clock.advance(15_000);
    const { value } = await reading;
    bytes += value!.length;
    text += new TextDecoder().decode(value);
  }
  equal(service.metrics.sent.value, bytes);
  await reader.cancel();
});

Deno.test("Hub counts pages of the log and the gaps of evicted and cleared events", async () => {
  await using service = await startService({
    settings: { RUNNEL_HISTORY: "1", RUNNEL_RETENTION: "3" },
  });
  const { metrics, clock, hub } = service;
  const ids = await publishNumbers(service, 1, 1);
  for (let i = 2; i <= 20; i++) {
    clock.advance(10_000);
    await publishNumbers(service, i, i);
  }
  const evicted = await service.subscribe("p_a/sse", lastEventIdHeader(ids[0]));
  await evicted.until("runnel.live");
  deepEqual([metrics.gaps.read(), metrics.pages.value], [[1, 0, 0, 0], 1]);
  await hub.clear("p_a");
  const cleared = await service.subscribe("p_a/sse", lastEventIdHeader(ids[0]));
  await cleared.until("runnel.live");
  deepEqual([metrics.gaps.read(), metrics.pages.value], [[1, 1, 0, 0], 2]);
  for (const stream of [evicted, cleared]) await stream.cancel();
});

Deno.test("Hub counts a stream whose client does not read as stalled, once", async () => {
  await using service = await startService();
  const body = await service.hub.subscribe("p_a");
  // One read, and then none.
  const reader = body.getReader();
  await reader.read();
  for (let i = 0; i < 6; i++) service.clock.advance(15_000);
  equal(service.metrics.stalled.value, 1);
  equal(service.hub.stats.subscribers, 0);
  await reader.cancel();
});

Deno.test("FanOut measures each pass from its first event until all have been written to", () => {
  const [clock, metrics] = [new FakeClock(), createMetrics()];
  clock.holdTurns();
  const fanOut = new FanOut({ clock, report() {} }, metrics);
  const passes = fanOut.passesOf({
    size: () => 1,
    reveal: () => [{ wake() {} }].values(),
  });
  const turns = (...ms: number[]) =>
    ms.forEach((ms) => {
      clock.turn();
      clock.pass(ms);
    });
  passes.request(1);
  clock.pass(3);
  passes.request(1);
  turns(2);
  // During the pass: this is for the next one, with what follows.
  passes.request(1);
  turns(5);
  passes.request(1);
  turns(0);
  const first = metrics.fanOutDelay.read().at(-1)!;
  equal(first.toFixed(3), "0.010");
  turns(1, 1, 1);
  const sum = metrics.fanOutDelay.read().at(-1)!;
  equal(metrics.fanOutDelay.read().slice(0, -1).reduce((sum, count) => sum + count), 2);
  equal((sum - first).toFixed(3), "0.006");
});

Deno.test("FanOut measures nothing where nobody is written to", () => {
  const [clock, metrics] = [new FakeClock(), createMetrics()];
  clock.holdTurns();
  const fanOut = new FanOut({ clock, report() {} }, metrics);
  fanOut.passesOf({ size: () => 0, reveal: () => [].values() }).request(1);
  for (let i = 0; i < 5; i++) clock.turn();
  deepEqual(metrics.fanOutDelay.read().at(-1), 0);
  equal(metrics.fanOutDelay.read().some((count) => count > 0), false);
});

Deno.test("A service counts messages to other isolates that fail, and the repairs of its hub", async () => {
  class BrokenChannel {
    onmessage: ((event: MessageEvent) => void) | null = null;
    postMessage(): void {
      throw new Error("the other side is gone");
    }
    close(): void {}
  }
  await using service = await startService({
    channels: new PipelineChannels(BrokenChannel, { report() {} }),
  });
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  await publishNumbers(service, 1, 2);
  await service.kv.inner.atomic().delete(["head", "p_a"]).commit();
  service.clock.advance(15_000);
  await until(() => service.hub.repairs.reconcile === 1);
  // The repair has ended when the subscriber is in the log that has replaced the first.
  await stream.until("runnel.gap");
  const { values } = takeSnapshot(service.metrics);
  deepEqual([values.broadcastFailures, values.watchesLost], [[2], [0]]);
  deepEqual(values.repairs, [0, 0, 0, 1]);
  await stream.cancel();
});
