import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { MetricsGatherer, reachGatherer } from "../../lib/service/metrics_gatherer.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { advanceUntil } from "../support/wait.ts";

/** Creates a gatherer for isolates that have stored some events each; one without events hangs. */
function createIsolates(events: readonly (number | null)[]) {
  const clock = new FakeClock();
  const own = createMetrics();
  const gatherer = new MetricsGatherer(own, clock);
  const ports: MessagePort[] = [];
  const gathers = events.map((count) => {
    const { ask, answer } = gatherer.add();
    ports.push(ask, answer);
    const metrics = createMetrics();
    metrics.events.add(count ?? 0);
    const { port1, port2 } = new MessageChannel();
    ports.push(port1, port2);
    return reachGatherer({ ask, answer: count === null ? port1 : answer }, metrics, clock);
  });
  return {
    clock,
    own,
    gathers,
    [Symbol.dispose]() {
      gatherer.close();
      for (const port of ports) port.close();
    },
  };
}

Deno.test("MetricsGatherer returns the sum of all isolates to each of them", async () => {
  using isolates = createIsolates([3, 4, 5]);
  isolates.own.canaryRounds.add("delivered", 2);
  isolates.own.info.set("1", "2", "file");
  for (const gather of isolates.gathers) {
    const { values, facts } = await gather();
    deepEqual([values.events, values.canaryRounds, facts?.["kv"]], [[12], [2, 0, 0], "file"]);
  }
});

Deno.test("MetricsGatherer returns no smaller sum when an isolate does not answer", async () => {
  using isolates = createIsolates([3, null]);
  const [gather] = isolates.gathers;
  const started = isolates.clock.monotonic();
  await rejects(advanceUntil(isolates.clock, gather!(), 100), {
    type: "overloaded",
    message: /an isolate did not answer within 1000 ms/,
  });
  equal(isolates.clock.monotonic() - started, 1000);
});

Deno.test("MetricsGatherer rejects for an isolate that asks when it is closed", async () => {
  const isolates = createIsolates([3]);
  const gathering = isolates.gathers[0]!();
  isolates[Symbol.dispose]();
  await rejects(advanceUntil(isolates.clock, gathering, 100), { type: "overloaded" });
});
