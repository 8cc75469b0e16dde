import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import { Eraser } from "../../lib/log/eraser.ts";
import { ERASE_KEY } from "../../lib/log/keys.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { shareStore } from "../support/log.ts";
import { flush, until } from "../support/wait.ts";

const DELAY_MS = 10_000;

/** An eraser on a store in memory, with what it erases as a script. */
async function createTestEraser({ wanted = false } = {}) {
  const inner = await Deno.openKv(":memory:");
  const shared = shareStore(inner);
  if (wanted) await inner.set(ERASE_KEY, true);
  const clock = new FakeClock();
  const reports: string[] = [];
  const connection = await KvConnection.open({
    open: shared.open,
    runtime: { clock, report() {} },
    timeoutMs: 3000,
    remote: false,
  });
  const script = {
    erasures: 0,
    swept: true,
    outcome: (): Promise<boolean> => Promise.resolve(true),
  };
  const eraser = new Eraser({
    kv: connection,
    erase: () => {
      script.erasures++;
      return script.outcome();
    },
    isSwept: () => script.swept,
    runtime: { clock, report: (message) => reports.push(message) },
  });
  const test = Object.assign(script, {
    clock,
    reports,
    eraser,
    wanted: async () => (await inner.get(ERASE_KEY)).value === true,
    async [Symbol.asyncDispose]() {
      await eraser.close();
      equal(clock.liveTimers, 0);
      connection.close();
      await shared[Symbol.asyncDispose]();
    },
  });
  await flush();
  return test;
}

Deno.test("Eraser erases once, ten seconds after the first of some deletions", async () => {
  await using test = await createTestEraser();
  await test.eraser.request();
  test.clock.advance(DELAY_MS - 1);
  await test.eraser.request();
  equal(await test.wanted(), true);
  equal(test.erasures, 0);
  test.clock.advance(1);
  await until(() => test.erasures === 1);
  await flush();
  equal(await test.wanted(), false);
  test.clock.advance(10 * DELAY_MS);
  await flush();
  deepEqual([test.erasures, test.reports], [1, []]);
});

Deno.test("Eraser waits until what was deleted is swept", async () => {
  await using test = await createTestEraser();
  test.swept = false;
  await test.eraser.request();
  test.clock.advance(DELAY_MS);
  await flush();
  equal(test.erasures, 0);
  test.swept = true;
  test.clock.advance(DELAY_MS);
  await until(() => test.erasures === 1);
});

Deno.test("Eraser takes up what a process deleted that has ended", async () => {
  await using test = await createTestEraser({ wanted: true });
  test.clock.advance(DELAY_MS);
  await until(() => test.erasures === 1);
  await flush();
  equal(await test.wanted(), false);
});

Deno.test("Eraser tries again after an error, and reports it", async () => {
  await using test = await createTestEraser();
  test.outcome = () => Promise.reject(new Error("disk full"));
  await test.eraser.request();
  test.clock.advance(DELAY_MS);
  await until(() => test.reports.length === 1);
  await flush();
  equal(await test.wanted(), true);
  test.outcome = () => Promise.resolve(true);
  test.clock.advance(60_000);
  await until(() => test.erasures === 2);
  await flush();
  equal(await test.wanted(), false);
});

Deno.test("Eraser reports a file that is too large, once", async () => {
  await using test = await createTestEraser();
  test.outcome = () => Promise.resolve(false);
  for (let i = 1; i <= 2; i++) {
    await test.eraser.request();
    test.clock.advance(DELAY_MS);
    await until(() => test.erasures === i);
    await flush();
  }
  equal(test.reports.length, 1);
  match(test.reports[0]!, /Stop it and run `deno task compact`$/);
});

Deno.test("Eraser pauses the log for a hundredth of the time at most", async () => {
  await using test = await createTestEraser();
  test.outcome = () => {
    test.clock.advance(500);
    return Promise.resolve(true);
  };
  await test.eraser.request();
  test.clock.advance(DELAY_MS);
  await until(() => test.erasures === 1);
  await flush();
  await test.eraser.request();
  test.clock.advance(49_000);
  await flush();
  equal(test.erasures, 1);
  test.clock.advance(1000);
  await until(() => test.erasures === 2);
});
