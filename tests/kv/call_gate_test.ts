import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { CallGate } from "../../lib/kv/call_gate.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

function createTestGate() {
  const gate = new CallGate();
  const steps: string[] = [];
  /** Starts a call that lasts until it is told to end. */
  const start = (name: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const call = gate.run(async () => {
      steps.push(`${name} begins`);
      await promise;
      steps.push(`${name} ends`);
    });
    return { call, end: resolve };
  };
  return { gate, steps, start, clock: new FakeClock() };
}

Deno.test("CallGate.exclusive() waits for the calls in flight, and later calls wait for it", async () => {
  const { gate, steps, start, clock } = createTestGate();
  const [one, other] = [start("one"), start("other")];
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = gate.exclusive(clock, 1000, async () => {
    steps.push("work begins");
    await promise;
    steps.push("work ends");
  });
  const late = start("late");
  one.end();
  await flush();
  deepEqual(steps, ["one begins", "other begins", "one ends"]);
  other.end();
  await flush();
  late.end();
  resolve();
  await Promise.all([work, late.call]);
  deepEqual(steps.slice(3), ["other ends", "work begins", "work ends", "late begins", "late ends"]);
  equal(clock.liveTimers, 0);
});

Deno.test("CallGate.exclusive() rejects, and opens again, if a call does not end in time", async () => {
  const { gate, steps, start, clock } = createTestGate();
  const slow = start("slow");
  const work = rejects(gate.exclusive(clock, 1000, () => Promise.reject(new Error("done"))), {
    message: "Calls of the store did not end within 1000 ms",
  });
  const late = start("late");
  clock.advance(1000);
  await work;
  late.end();
  await late.call;
  deepEqual(steps, ["slow begins", "late begins", "late ends"]);
  slow.end();
  await slow.call;
});

Deno.test("CallGate.exclusive() opens again when the work fails, and refuses a second one", async () => {
  const { gate, start, clock } = createTestGate();
  const cause = new Error("disk full");
  const { promise, reject } = Promise.withResolvers<void>();
  const work = rejects(gate.exclusive(clock, 1000, () => promise), cause);
  await flush();
  await rejects(gate.exclusive(clock, 1000, () => Promise.resolve()), /Other work/);
  reject(cause);
  await work;
  const after = start("after");
  after.end();
  await after.call;
});
