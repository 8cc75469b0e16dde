import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { LeaseRenewal } from "../../lib/hub/lease_renewal.ts";
import { numbers } from "../support/events.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { collectReports } from "../support/fakes/reporter.ts";
import { startService } from "../support/service.ts";
import { flush } from "../support/wait.ts";

const LEASES_MS = 5 * 60 * 1000;

/** A renewal for pipelines, and what it asks a log for, which fails with an error if there is one. */
function createTestRenewal(pipelines: readonly string[], failure: Error | null = null) {
  const clock = new FakeClock();
  const reports: string[] = [];
  const calls: (readonly string[])[] = [];
  const log = {
    renewLeases(ids: readonly string[]): Promise<void> {
      calls.push(ids);
      return failure ? Promise.reject(failure) : Promise.resolve();
    },
  };
  const runtime = { clock, report: collectReports(reports) };
  const leases = new LeaseRenewal({ log, runtime }, () => pipelines);
  return { clock, reports, calls, leases };
}

Deno.test("LeaseRenewal.renew() renews all pipelines, a hundred with one call of the log", async () => {
  const pipelines = numbers(1, 250).map((i) => `p_${i}`);
  const { leases, calls } = createTestRenewal(pipelines);
  await leases.renew();
  deepEqual([calls.map(({ length }) => length), calls.flat()], [[100, 100, 50], pipelines]);
});

Deno.test("LeaseRenewal.renew() does nothing until five minutes have passed", async () => {
  const { leases, calls, clock } = createTestRenewal(["p_a"]);
  for (const [ms, count] of [[0, 1], [LEASES_MS - 1, 1], [1, 2], [0, 2]] as const) {
    clock.advance(ms);
    await leases.renew();
    equal(calls.length, count);
  }
});

Deno.test("LeaseRenewal.renew() reports that the log fails, and tries again later", async () => {
  const { leases, calls, clock, reports } = createTestRenewal(["p_a"], new Error("log"));
  await leases.renew();
  deepEqual(reports, ["Cannot renew the leases of pipelines"]);
  clock.advance(LEASES_MS);
  await leases.renew();
  equal(calls.length, 2);
});

Deno.test("A service renews the leases of the pipelines that have streams", async () => {
  await using service = await startService({ settings: { RUNNEL_KEEPALIVE_MS: "15000" } });
  const { log, clock } = service;
  const renewed: (readonly string[])[] = [];
  log.renewLeases = (pipelines) => {
    renewed.push(pipelines);
    return Promise.resolve();
  };
  const streams = [
    await service.subscribe("p_a/sse"),
    await service.subscribe("p_b/sse"),
  ];
  for (let i = 0; i < 15; i++) clock.advance(1000);
  await flush();
  deepEqual(renewed, [["p_a", "p_b"]]);
  for (const stream of streams) await stream.cancel();
});
