import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { createMetrics, ENTRIES, takeSnapshot } from "../../lib/telemetry/metrics.ts";
import { exportMetrics } from "../../lib/telemetry/meter.ts";
import { formatOpenMetrics, metricName } from "../../lib/telemetry/open_metrics.ts";
import { updateReference } from "../../lib/telemetry/reference.ts";
import { RecordingMeter } from "../support/fakes/meter.ts";
import { readOpenMetrics } from "../support/open_metrics.ts";
import { findReadme } from "../support/readme.ts";

/** Metrics each of whose numbers differs from all others. */
function createDistinctMetrics() {
  const metrics = createMetrics();
  let number = 1;
  for (const [, definition] of ENTRIES) {
    const value = Object.values(metrics)[ENTRIES.findIndex(([, each]) => each === definition)]!;
    const own = ++number;
    if ("record" in value) value.record(own);
    else if ("set" in value) value.set("1.2.3", 'a "quoted"\n\\text', "file");
    else if (definition.kind === "gauge" && "observe" in value) {
      (value as { observe: (read: () => number) => void }).observe(() => own);
    } else {
      for (const label of definition.label === null ? [own] : definition.labels) {
        (value as { add: (...args: unknown[]) => void }).add(
          ...definition.label === null ? [own] : [label, ++number],
        );
      }
    }
  }
  return metrics;
}

Deno.test("formatOpenMetrics() writes each instrument as a scraper reads it", async () => {
  const metrics = createDistinctMetrics();
  const samples = readOpenMetrics(await formatOpenMetrics(takeSnapshot(metrics)));
  for (const [key, definition] of ENTRIES) {
    const name = metricName(definition);
    const numbers = metrics[key].read()!;
    if (definition.kind === "histogram") {
      equal(samples.get(`${name}_count`), 1, name);
      equal(samples.get(`${name}_sum`), numbers.at(-1), name);
      const buckets = [...definition.bounds, Infinity].map((bound) => {
        const le = bound === Infinity ? "+Inf" : Number.isInteger(bound) ? `${bound}.0` : bound;
        return samples.get(`${name}_bucket{le="${le}"}`);
      });
      deepEqual(
        buckets,
        [...definition.bounds, Infinity].map((bound) => numbers.at(-1)! <= bound ? 1 : 0),
        name,
      );
    } else if (definition.kind !== "info") {
      const sample = definition.kind === "counter" ? `${name}_total` : name;
      const labels = definition.label === null
        ? [""]
        : definition.labels.map((label) => `{${definition.label}="${label}"}`);
      deepEqual(labels.map((label) => samples.get(sample + label)), numbers, name);
    }
  }
  equal(
    samples.get(
      'runnel_build_info{version="1.2.3",deno="a \\"quoted\\"\\n\\\\text",kv="file"}',
    ),
    1,
  );
});

Deno.test("formatOpenMetrics() leaves out what no isolate has", async () => {
  const samples = readOpenMetrics(await formatOpenMetrics(takeSnapshot(createMetrics())));
  ok(samples.has("runnel_events_total"));
  ok(!samples.has("runnel_log_file_size_bytes"));
});

Deno.test("exportMetrics() tells a meter the same as the page", async () => {
  const metrics = createMetrics();
  const meter = new RecordingMeter();
  exportMetrics(metrics, null, meter);
  metrics.events.add(3);
  metrics.gaps.add("cleared", 2);
  metrics.subscribers.observe(() => 4);
  metrics.groupSize.record(5);
  metrics.info.set("1", "2", "file");
  const samples = readOpenMetrics(await formatOpenMetrics(takeSnapshot(metrics)));
  const told = meter.collect();
  equal(told.get("runnel.events {}"), samples.get("runnel_events_total"));
  equal(
    told.get('runnel.gaps {"reason":"cleared"}'),
    samples.get('runnel_gaps_total{reason="cleared"}'),
  );
  equal(told.get("runnel.subscribers {}"), samples.get("runnel_subscribers"));
  equal(told.get('runnel.build.info {"version":"1","deno":"2","kv":"file"}'), 1);
  deepEqual(meter.recorded, [["runnel.commit.requests", 5, {}]]);
  // All of them, with the unit and the meaning of the one place.
  deepEqual(
    meter.instruments,
    ENTRIES.map(([, { name, unit, doc }]) => ({ name, unit, description: doc })),
  );
  ok(!told.has("runnel.log.file.size {}"));
});

Deno.test("exportMetrics() names the isolate if there are several", () => {
  const metrics = createMetrics();
  const meter = new RecordingMeter();
  exportMetrics(metrics, "2", meter);
  metrics.events.add();
  metrics.loopDelay.record(1);
  equal(meter.collect().get('runnel.events {"runnel.isolate":"2"}'), 1);
  deepEqual(meter.recorded, [["runnel.event_loop.delay", 1, { "runnel.isolate": "2" }]]);
});

const README = findReadme("lib/telemetry/README.md");

Deno.test("lib/telemetry/README.md has the table of the instruments", () => {
  const command = "deno run -A lib/telemetry/reference.ts";
  equal(updateReference(README.text), README.text, `${README.path} is outdated. Run: ${command}`);
  equal(README.rows("Instruments").length, ENTRIES.length);
  ok(README.text.includes(command));
});
