import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { RunnelError } from "../../lib/base/errors.ts";
import { type Failing, type FailingPart, ReadinessLog } from "../../lib/http/readiness.ts";
import { FakeClock } from "../support/fakes/clock.ts";

function failing(part: FailingPart): Failing {
  return { part, error: new RunnelError("log-unavailable", "Cannot") };
}

Deno.test("ReadinessLog reports each part that fails once, and once that all work again", () => {
  const clock = new FakeClock();
  const reports: unknown[] = [];
  const log = new ReadinessLog({
    clock,
    report: (message, cause, options) =>
      reports.push([message, cause !== undefined, options?.fields]),
  });
  log.probed(null);
  for (const part of ["log", "log", "disk", "disk"] as const) {
    log.probed(failing(part));
    clock.advance(5000);
  }
  log.probed(null);
  log.probed(null);
  log.probed(failing("draining"));
  deepEqual(reports, [
    ["Not ready: log", true, undefined],
    ["Not ready: disk", true, undefined],
    ["Ready again", false, { seconds: 20 }],
  ]);
});
