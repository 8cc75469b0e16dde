import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { RunnelError } from "../../lib/base/errors.ts";
import { PROBE_LINES, ProxyProbes } from "../../lib/http/proxy_probes.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

function createProbes() {
  const clock = new FakeClock();
  const drain = new AbortController();
  return { clock, drain, probes: new ProxyProbes({ clock }, drain.signal) };
}

/** Reads the next event of a probe. */
async function line(stream: StreamReader): Promise<{ type: string; data: unknown } | null> {
  const event = await stream.event();
  return event && { type: event.type, data: JSON.parse(event.data) };
}

Deno.test("ProxyProbes.open() sends a line at once and one after each time, and then ends", async () => {
  const { clock, probes } = createProbes();
  const stream = new StreamReader(probes.open({ everyMs: 100, bytes: 0 }));
  for (let i = 1; i <= PROBE_LINES; i++) {
    const sent = (i - 1) * 100;
    const data = { line: i, of: PROBE_LINES, sent, fill: "" };
    deepEqual(await line(stream), { type: "runnel.probe", data });
    equal(probes.size, i < PROBE_LINES ? 1 : 0);
    clock.advance(100);
  }
  equal(await line(stream), null);
  equal(clock.liveTimers, 0);
});

Deno.test("ProxyProbes.open() sends the only line of a long poll after the time, and ends", async () => {
  const { clock, probes } = createProbes();
  const stream = new StreamReader(probes.open({ everyMs: 5000, bytes: 0, isPoll: true }));
  clock.advance(4999);
  equal(probes.size, 1);
  clock.advance(1);
  const data = { line: 1, of: 1, sent: 5000, fill: "" };
  deepEqual(await line(stream), { type: "runnel.probe", data });
  equal(await line(stream), null);
  deepEqual([probes.size, clock.liveTimers], [0, 0]);
});

Deno.test("ProxyProbes.open() sends the real time of each line when the machine is late", async () => {
  const { clock, probes } = createProbes();
  const stream = new StreamReader(probes.open({ everyMs: 100, bytes: 0 }));
  await stream.event();
  clock.pass(130);
  clock.advance(0);
  const { data } = (await stream.event())!;
  equal(JSON.parse(data).sent, 130);
  await stream.cancel();
});

Deno.test("ProxyProbes.open() fills each line up with what does not compress", async () => {
  const { clock, probes } = createProbes();
  const body = new Response(probes.open({ everyMs: 1, bytes: 16_384 })).text();
  clock.advance(100);
  const text = await body;
  const fills = [...text.matchAll(/"fill":"(.*?)"/g)].map(([, fill]) => fill!.length);
  deepEqual(fills, Array(PROBE_LINES).fill(16_384));
  const compressed = await new Response(
    new Blob([text]).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  // Base64 has six bits in each byte.
  equal(compressed.length > 0.7 * PROBE_LINES * 16_384, true, String(compressed.length));
});

Deno.test("ProxyProbes.open() forgets a client that leaves", async () => {
  const { clock, probes } = createProbes();
  const stream = new StreamReader(probes.open({ everyMs: 100, bytes: 0 }));
  await stream.event();
  await stream.cancel();
  deepEqual([probes.size, clock.liveTimers], [0, 0]);
});

Deno.test("ProxyProbes.open() refuses more than 64, including probes whose connection lingers", async () => {
  const { clock, probes } = createProbes();
  const { promise: completed, resolve } = Promise.withResolvers<void>();
  for (let i = 0; i < 64; i++) probes.open({ everyMs: 1, bytes: 0, completed });
  clock.advance(100);
  equal(clock.liveTimers, 0);
  throws(() => probes.open({ everyMs: 1, bytes: 0 }), { type: "overloaded" });
  equal(clock.liveTimers, 0);
  resolve();
  await flush();
  equal(probes.size, 0);
  await probes.open({ everyMs: 1, bytes: 0 }).cancel();
});

Deno.test("ProxyProbes end at once when the service drains, and new ones are refused", async () => {
  const { clock, drain, probes } = createProbes();
  const streams = [1, 2].map(() => new StreamReader(probes.open({ everyMs: 100, bytes: 0 })));
  drain.abort(new RunnelError("draining", "Try again"));
  for (const stream of streams) equal((await stream.events(2)).length, 1);
  throws(() => probes.open({ everyMs: 100, bytes: 0 }), { type: "draining" });
  deepEqual([probes.size, clock.liveTimers], [0, 0]);
});
