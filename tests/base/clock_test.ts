import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import process from "node:process";
import { type Clock, deadline, delay, systemClock } from "../../lib/base/clock.ts";
import { FakeClock } from "../support/fakes/clock.ts";

/** Lets time pass until a promise settles. */
type Pass = (until: Promise<unknown>) => Promise<void>;

const clocks: [name: string, make: () => { clock: Clock; pass: Pass }][] = [
  ["systemClock", () => ({
    clock: systemClock,
    pass: async (until) => {
      await until;
    },
  })],
  ["FakeClock", () => {
    const clock = new FakeClock();
    return {
      clock,
      pass: async (until) => {
        clock.advance(20);
        await until;
      },
    };
  }],
];

for (const [name, make] of clocks) {
  Deno.test(`${name}.after() runs once, no sooner than its time`, async () => {
    const { clock, pass } = make();
    const start = clock.now();
    const times: number[] = [];
    using _timer = clock.after(5, () => times.push(clock.now()));
    equal(times.length, 0);
    await pass(delay(clock, 20));
    equal(times.length, 1);
    // The timers of a system may be a millisecond ahead of its clock.
    ok(times[0]! - start >= 4, `after ${times[0]! - start} ms`);
  });

  Deno.test(`${name}.after() runs in the order of due times, not of calls`, async () => {
    const { clock, pass } = make();
    const order: string[] = [];
    using _late = clock.after(12, () => order.push("late"));
    using _soon = clock.after(1, () => order.push("soon"));
    await pass(delay(clock, 20));
    deepEqual(order, ["soon", "late"]);
  });

  Deno.test(`${name}.after() never runs once disposed, however often`, async () => {
    const { clock, pass } = make();
    let runs = 0;
    const timer = clock.after(1, () => runs++);
    timer[Symbol.dispose]();
    timer[Symbol.dispose]();
    await pass(delay(clock, 5));
    equal(runs, 0);
  });

  Deno.test(`${name}.after() may be disposed after it ran, and while it runs`, async () => {
    const { clock, pass } = make();
    const timer = clock.after(1, () => timer[Symbol.dispose]());
    await pass(delay(clock, 5));
    timer[Symbol.dispose]();
  });

  Deno.test(`${name}.nextTurn() runs once, after what is ready, unless it is disposed of`, async () => {
    const { clock } = make();
    const order: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const disposed = clock.nextTurn(() => order.push("disposed"));
    clock.nextTurn(() => {
      order.push("turn");
      resolve();
    });
    disposed[Symbol.dispose]();
    disposed[Symbol.dispose]();
    Promise.resolve().then(() => order.push("ready"));
    await promise;
    deepEqual(order, ["ready", "turn"]);
  });

  Deno.test(`${name}.every() runs until disposed, even while it runs`, async () => {
    const { clock, pass } = make();
    const { promise, resolve } = Promise.withResolvers<void>();
    let runs = 0;
    const timer = clock.every(1, () => {
      if (++runs < 3) return;
      timer[Symbol.dispose]();
      resolve();
    });
    equal(runs, 0);
    await pass(promise);
    await pass(delay(clock, 5));
    equal(runs, 3);
  });

  Deno.test(`delay() resolves after its time on ${name}`, async () => {
    const { clock, pass } = make();
    const start = clock.now();
    await pass(delay(clock, 5));
    ok(clock.now() - start >= 4);
  });

  Deno.test(`deadline() rejects past its time on ${name}`, async () => {
    const { clock, pass } = make();
    const never = new Promise<never>(() => {});
    const work = deadline(clock, 5, never, () => new Error("too late"));
    await pass(rejects(work, /^Error: too late$/));
  });
}

Deno.test("deadline() settles as its work does, and leaves no timer", async () => {
  const clock = new FakeClock();
  equal(await deadline(clock, 5, Promise.resolve(1), () => new Error("too late")), 1);
  const failure = Promise.reject(new Error("failed"));
  await rejects(deadline(clock, 5, failure, () => new Error("too late")), /^Error: failed$/);
  equal(clock.liveTimers, 0);
});

Deno.test("deadline() waits for its time and no longer", async () => {
  const clock = new FakeClock();
  const { promise, resolve } = Promise.withResolvers<string>();
  const inTime = deadline(clock, 5, promise, () => new Error("too late"));
  const late = deadline(clock, 4, promise, () => new Error("too late"));
  clock.advance(4);
  resolve("done");
  equal(await inTime, "done");
  await rejects(late, /too late/);
  equal(clock.liveTimers, 0);
});

Deno.test("deadline() ignores the result of work that settles too late", async () => {
  const clock = new FakeClock();
  const { promise, reject } = Promise.withResolvers<never>();
  const work = deadline(clock, 5, promise, () => new Error("too late"));
  clock.advance(5);
  await rejects(work, /too late/);
  // An unhandled rejection would fail this test.
  reject(new Error("failed at last"));
  await promise.catch(() => {});
});

Deno.test("deadline() creates no error when its work is in time", async () => {
  const clock = new FakeClock();
  let made = 0;
  const late = () => new Error(String(made++));
  await deadline(clock, 5, Promise.resolve(), late);
  clock.advance(10);
  equal(made, 0);
});

Deno.test("systemClock.after() takes a time that has passed for now, without a warning", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on("warning", note);
  await delay(systemClock, -5);
  await delay(systemClock, 0);
  process.off("warning", note);
  deepEqual(warnings, []);
});
