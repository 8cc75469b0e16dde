import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { CopyGuard } from "../../lib/kv/copy_guard.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

const MARK = ["copy"];

/** Starts the guard of a store in memory, as if it were that of a KV server. */
async function start() {
  const clock = new FakeClock();
  const lines: string[] = [];
  const kv = await Deno.openKv(":memory:");
  const runtime = { clock, report: (line: string) => lines.push(line) };
  const guard = await CopyGuard.start(() => Promise.resolve(kv), runtime);
  const look = async () => {
    clock.advance(5000);
    for (let i = 0; i < 20; i++) await flush();
  };
  return { guard, kv, clock, lines, look };
}

Deno.test("CopyGuard refuses calls while the store is marked as copied, and tells of it once", async () => {
  const { guard, kv, clock, lines, look } = await start();
  await look();
  deepEqual([guard.error, lines], [null, []]);
  await kv.set(MARK, { role: "source", id: "1", other: "/b.sqlite", isSettled: false });
  await look();
  await look();
  equal(guard.error?.type, "log-unavailable");
  equal(lines.length, 1);
  match(lines[0]!, /^The log is copied to \/b\.sqlite: all requests that need it are refused\./);
  await kv.delete(MARK);
  await look();
  equal(guard.error, null);
  match(lines[1]!, /^The copy of the log was given up/);
  guard[Symbol.dispose]();
  await flush();
  equal(clock.liveTimers, 0);
});

Deno.test("CopyGuard keeps its answer while the store does not answer", async () => {
  const { guard, kv, lines, look } = await start();
  await kv.set(MARK, { role: "source", id: "1", other: "/b.sqlite", isSettled: false });
  await look();
  kv.close();
  await look();
  equal(guard.error?.type, "log-unavailable");
  equal(lines.length, 1);
  guard[Symbol.dispose]();
  await flush();
});
