import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { ENTRIES } from "../../lib/telemetry/metrics.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { readOpenMetrics, type Samples } from "../support/open_metrics.ts";
import { OtlpReceiver } from "../support/servers/otlp_receiver.ts";
import { eventually } from "../support/wait.ts";

/** Sends a request on a connection of its own, which the system gives to any isolate. */
async function send(url: string, init: RequestInit = {}): Promise<string> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(url, { ...init, client });
  const text = await response.text();
  ok(response.ok, text);
  return text;
}

const scrape = async ({ url }: Program): Promise<Samples> =>
  readOpenMetrics(await send(`${url}/metrics`));

async function publish({ url }: Program, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await send(`${url}/ingest/p_a/events`, { method: "POST", body: "four" });
  }
}

/** Opens streams, and returns their number and a function that ends them. */
async function subscribe({ url }: Program, count: number): Promise<AsyncDisposable> {
  const clients = Array.from(
    { length: count },
    () => Deno.createHttpClient({ poolMaxIdlePerHost: 0 }),
  );
  const responses = await Promise.all(
    clients.map((client) => fetch(`${url}/pipelines/p_a/sse`, { client })),
  );
  return {
    async [Symbol.asyncDispose]() {
      for (const { body } of responses) await body?.cancel();
      for (const client of clients) client.close();
    },
  };
}

for (const isolates of ["1", "2"]) {
  Deno.test(`deno task start tells the metrics of ${isolates} isolates on one page`, async () => {
    await using folder = new DataFolder();
    await using program = await Program.start({
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: isolates,
      RUNNEL_CANARY_MS: "100",
    });
    await publish(program, 20);
    await using _streams = await subscribe(program, 20);
    await eventually(
      "the history arrives",
      async () => (await scrape(program)).get("runnel_deliveries_total") === 400,
    );
    // Whichever isolate answers.
    for (let i = 0; i < 10; i++) {
      const samples = await scrape(program);
      equal(samples.get('runnel_publishes_total{outcome="stored"}'), 20);
      equal(samples.get("runnel_events_total"), 20);
      equal(samples.get("runnel_payload_bytes_total"), 120);
      equal(samples.get("runnel_publish_duration_seconds_count"), 20);
      equal(samples.get("runnel_commit_requests_count"), 20);
      equal(samples.get("runnel_subscribers"), 20);
      ok(samples.get("runnel_log_file_size_bytes")! > 4096);
      ok(samples.get("runnel_event_loop_delay_seconds_count")! > 0);
    }
    await eventually(
      "the canary arrives",
      async () =>
        (await scrape(program)).get('runnel_canary_rounds_total{outcome="delivered"}')! >= 3,
    );
    const samples = await scrape(program);
    equal(samples.get('runnel_canary_rounds_total{outcome="lost"}'), 0);
    equal(samples.get('runnel_canary_rounds_total{outcome="failed"}'), 0);
    equal(samples.get("runnel_events_total"), 20);
    const info = [...samples.keys()].find((name) => name.startsWith("runnel_build_info"));
    ok(info?.endsWith(`deno="${Deno.version.deno}",kv="file"}`), info);
    // A round may be in progress.
    program.kill("SIGTERM");
    equal(await program.exit(), 0);
    deepEqual(program.complaints.filter((line) => !line.startsWith("RUNNEL_MAX_SUBS")), []);
  });

  Deno.test(`deno task start exports the metrics of ${isolates} isolates with OTEL_DENO`, async () => {
    await using receiver = OtlpReceiver.start();
    await using folder = new DataFolder();
    await using program = await Program.start({
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: isolates,
      ...receiver.settings,
    });
    await publish(program, 10);
    await using _streams = await subscribe(program, 4);
    await eventually("the streams are exported", () => receiver.sum("runnel.subscribers") === 4);
    await publish(program, 1);
    await eventually("the events are exported", () => receiver.sum("runnel.events") === 11);
    await eventually("the pass is exported", () => receiver.sum("runnel.fan_out.delay") > 0);
    const samples = await scrape(program);
    equal(samples.get("runnel_events_total"), 11);
    equal(receiver.sum("runnel.publishes", { outcome: "stored" }), 11);
    equal(receiver.sum("runnel.publish.duration"), 11);
    equal(receiver.units.get("runnel.publish.duration"), "s");
    const told = ENTRIES.map(([, { name }]) => name).filter((name) => !receiver.units.has(name));
    // It has no certificate, and its canary had no round.
    deepEqual(told, ["runnel.certificate.expiry_timestamp", "runnel.canary.delay"]);
    equal(receiver.isolates.size, isolates === "1" ? 1 : 3);
  });
}
