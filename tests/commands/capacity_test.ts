import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { LOAD, MACHINE } from "../../lib/commands/capacity_defaults.ts";
import { findLimits } from "../../lib/commands/capacity_limits.ts";
import { predict } from "../../lib/commands/capacity_model.ts";
import { runTask } from "../support/programs/task.ts";

const needsOf = (load: Partial<typeof LOAD>) => predict({ ...LOAD, ...load }, MACHINE);

Deno.test("predict() needs more of what a load has more of, and no more of the rest", () => {
  const least = needsOf({});
  const more = needsOf({ subscribers: 2 * LOAD.subscribers });
  ok(more.memory > least.memory && more.files > least.files && more.cpu > least.cpu);
  deepEqual([more.commits, more.disk], [least.commits, least.disk]);
  const larger = needsOf({ payload: 10 * LOAD.payload });
  ok(larger.disk > least.disk && larger.bandwidth > least.bandwidth);
  equal(larger.memory, least.memory);
  const stalled = needsOf({ stalled: 1 });
  ok(stalled.memory > 2 * least.memory);
  const faster = needsOf({ rate: 10_000 });
  ok(faster.commits < 1000, "publishes share commits");
  ok(faster.cpuShared < faster.cpu);
});

Deno.test("predict() divides streams among processes, and adds reads and watches", () => {
  const load = { subscribers: 10_000, pipelines: 1000, rate: 100 };
  const alone = needsOf(load);
  deepEqual([alone.reads, alone.watches], [0, 0]);
  const ten = needsOf({ ...load, processes: 10 });
  ok(ten.files < alone.files / 5);
  // Each of a thousand pipelines has a subscriber at each of ten processes.
  deepEqual([ten.watches, ten.connections], [10 * 100, 10 * 2]);
  equal(ten.reads, 100 + 100 * 9 * 3);
  const sticky = needsOf({ ...load, processes: 10, sticky: true });
  equal(sticky.watches, 100);
  equal(Math.round(sticky.reads), 100 + 0.9 * 100 * 3);
});

Deno.test("findLimits() has the tightest limit first", () => {
  const first = (load: Partial<typeof LOAD>, machine = MACHINE) => {
    const full = { ...LOAD, ...load };
    return findLimits(full, predict(full, machine), machine)[0]!;
  };
  match(first({ subscribers: 11_000 }).name, /^RUNNEL_MAX_SUBSCRIBERS/);
  equal(first({}, { ...MACHINE, files: 500 }).name, "open files");
  equal(first({}, { ...MACHINE, memory: 1e8 }).name, "memory");
  equal(first({ payload: 60_000, pipelines: 10_000 }).name, "disk");
  equal(first({ rate: 20_000, subscribers: 0 }).name, "publishes of one file");
  ok(first({ rate: 20_000, subscribers: 0 }).share > 1);
});

Deno.test("deno task capacity refuses what is no number, and names the option", async () => {
  for (
    const [args, message] of [
      [["--subscribers", "many"], "Cannot use --subscribers many: expected a number from 0"],
      [["--pipelines", "0"], "Cannot use --pipelines 0: expected a number from 1"],
      [["--subscriber", "1"], "Cannot use --subscriber: there is no such option. Did you mean"],
    ] as const
  ) {
    const { code, stderr } = await runTask("capacity", { args });
    equal(code, 1);
    ok(stderr.includes(message), stderr);
  }
});
