import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { SharedTurn } from "../../lib/log/shared_turn.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { createTestLog, textEvent } from "../support/log.ts";
import { flush } from "../support/wait.ts";

Deno.test("SharedTurn.wait() resolves for all that wait in a turn, in the next one", async () => {
  const clock = new FakeClock();
  clock.holdTurns();
  const turn = new SharedTurn((run) => clock.nextTurn(run));
  const ended: string[] = [];
  turn.wait().then(() => ended.push("a"));
  turn.wait().then(() => ended.push("b"));
  await flush();
  equal(ended.length, 0);
  equal(clock.turn(), 1);
  turn.wait().then(() => ended.push("c"));
  await flush();
  deepEqual(ended, ["a", "b"]);
  equal(clock.turn(), 1);
  await flush();
  deepEqual(ended, ["a", "b", "c"]);
});

Deno.test("EventLog.append() commits what was appended before the next turn together", async () => {
  await using test = await createTestLog();
  const { log, kv } = test;
  await log.append("p_a", [textEvent("0")]);
  const commits = kv.calls.commit;
  const appends = [];
  for (const text of ["1", "2", "3"]) {
    appends.push(log.append("p_a", [textEvent(text)]));
    // Requests of one turn come one by one: microtasks run between them.
    for (let step = 0; step < 50; step++) await undefined;
  }
  equal(kv.calls.commit, commits);
  const receipts = await Promise.all(appends);
  deepEqual(receipts.map(({ first }) => first), [2, 3, 4]);
  equal(kv.calls.commit, commits + 1);
});
