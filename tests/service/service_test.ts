import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { readConfig } from "../../lib/config/config.ts";
import { createService } from "../../lib/service/service.ts";
import { readHistoryOf } from "../support/history.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { drain } from "../support/drain.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { FaultyKv, hang } from "../support/fakes/kv.ts";
import { jsonPost, startService } from "../support/service.ts";
import { flush, until } from "../support/wait.ts";

Deno.test("createService() rejects with the error of opening the store", async () => {
  const failing = createService({
    config: readConfig({}),
    open: () => Promise.reject(new Error("disk full")),
  });
  await rejects(failing, /disk full/);
});

Deno.test("createService() uses the clock and the randomness of the system by default", async () => {
  const service = await createService({
    config: readConfig({ RUNNEL_RETRY_MS: "1000" }),
    open: () => Deno.openKv(":memory:"),
  });
  const before = Date.now();
  const event = { pipeline: "p_a", channel: "events", payload: 1 };
  equal((await service.fetch(jsonPost("/ingest", event))).status, 202);
  const events = await readHistoryOf(service.hub, "p_a");
  ok(events[0]!.time >= before && events[0]!.time <= Date.now());
  const stream = new StreamReader(
    await service.fetch(new Request("http://localhost/pipelines/p_a/sse")),
  );
  const said = await stream.next();
  ok(said?.kind === "retry" && said.ms >= 1000 && said.ms < 2001);
  await stream.cancel();
  await drain(service.hub);
  await service.log.close();
});

Deno.test("createService() replaces only the parts of the runtime that are given", async () => {
  const service = await createService({
    config: readConfig({ RUNNEL_RETRY_MS: "1000" }),
    open: () => Deno.openKv(":memory:"),
    runtime: { random: () => 0.25 },
  });
  const stream = new StreamReader(
    await service.fetch(new Request("http://localhost/pipelines/p_a/sse")),
  );
  deepEqual(await stream.next(), { kind: "retry", ms: 1250 });
  await stream.cancel();
  await drain(service.hub);
  await service.log.close();
});

Deno.test("createService() passes the settings on to the parts", async () => {
  const clock = new FakeClock();
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    clock,
    open: () => Promise.resolve(kv),
    settings: {
      RUNNEL_HISTORY: "2",
      RUNNEL_KEEPALIVE_MS: "1500",
      RUNNEL_RETRY_MS: "100",
      RUNNEL_MAX_STREAM_AGE_MS: "3000",
      RUNNEL_KV_TIMEOUT_MS: "200",
    },
  });
  for (let i = 1; i <= 3; i++) await service.publish("p_a", "events", i);
  const stream = await service.subscribe("p_a/sse");
  deepEqual(await stream.next(), { kind: "retry", ms: 150 });
  deepEqual((await stream.until("runnel.live")).map(({ data }) => data), [
    "2",
    "3",
    '{"replayed":2}',
  ]);
  const next = async () => {
    const said = stream.next();
    await flush();
    clock.advance(1500);
    return await said;
  };
  deepEqual(await next(), { kind: "comment", text: "keepalive" });
  equal(await next(), null);
  kv.script("get", hang);
  const unheard = readHistoryOf(service.hub, "p_a");
  await until(() => clock.liveTimers === 1);
  clock.advance(200);
  await rejects(unheard, /within 200 ms/);
});
