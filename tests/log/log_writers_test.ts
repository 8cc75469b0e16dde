import { notStrictEqual as notEqual, strictEqual as equal } from "node:assert/strict";
import { readConfig } from "../../lib/config/config.ts";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { CommitQueue } from "../../lib/log/commit_queue.ts";
import { LogWriters } from "../../lib/log/log_writers.ts";
import { HeadReader } from "../../lib/log/unwritten.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { numbers } from "../support/events.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { TIMEOUT_MS } from "../support/log.ts";

Deno.test("LogWriters keeps a writer for each pipeline that may be live, and few more", async () => {
  const runtime = { clock: new FakeClock(), random: () => 0, report() {} };
  using kv = await KvConnection.open({
    open: () => Deno.openKv(":memory:"),
    runtime,
    timeoutMs: TIMEOUT_MS,
    remote: false,
  });
  const metrics = createMetrics();
  const writers = new LogWriters({
    kv,
    commits: new CommitQueue({ kv, runtime, metrics }),
    metrics,
    shared: false,
    runtime,
    retention: { events: 1000, ms: 60_000, bytes: 1e6 },
    maxKeys: 1000,
    timeoutMs: TIMEOUT_MS,
    onCommit() {},
    onTrim() {},
    headReader: new HeadReader(runtime),
  });
  const { maxPipelines } = readConfig({});
  const first = writers.getOrCreate("p_1");
  for (const i of numbers(2, maxPipelines)) writers.getOrCreate(`p_${i}`);
  equal(writers.getOrCreate("p_1"), first);
  for (const i of numbers(1, maxPipelines / 4)) writers.getOrCreate(`p_more${i}`);
  notEqual(writers.getOrCreate("p_1"), first);
  await writers.close();
});
