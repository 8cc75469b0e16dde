import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { newHead } from "../../lib/log/head.ts";
import { headKey } from "../../lib/log/keys.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import {
  commitThenFailCheck,
  databaseLocked,
  fail,
  failCheck,
  passThrough,
} from "../support/fakes/kv.ts";
import {
  appendTexts,
  createTestLog,
  storedSegments,
  type TestLog,
  textEvent,
} from "../support/log.ts";
import { flush, until } from "../support/wait.ts";

const EPOCH = "AAECAwQFBgc";

/** A log with a head without events that an older version stored, and that is due to be renewed. */
async function createExpiring(): Promise<TestLog> {
  const clock = new FakeClock(36 * 60 * 60 * 1000);
  const test = await createTestLog({ clock, random: () => 0.5 });
  await test.kv.inner.atomic().set(headKey("p_a"), newHead(EPOCH, 0)).commit();
  return test;
}

for (
  const [name, fault] of [["refused", commitThenFailCheck], [
    "locked",
    fail(databaseLocked),
  ]] as const
) {
  Deno.test(`HeadStore.ensureHead() renews a head without events though its commit is ${name}`, async () => {
    await using test = await createExpiring();
    test.kv.script("commit", fault);
    const head = await test.advanceUntil(test.log.ensureHead("p_a"));
    deepEqual(await test.log.head("p_a"), head);
    deepEqual(head, newHead(EPOCH, head.time));
    equal(head.time >= 36 * 60 * 60 * 1000, true);
    equal(test.kv.commits, 1);
  });

  Deno.test(`HeadStore.clear() clears once though its commit is ${name}`, async () => {
    await using test = await createTestLog();
    await appendTexts(test, 3);
    test.kv.script("commit", fault);
    deepEqual((await test.advanceUntil(test.log.clear("p_a")))!.oldest, 4);
    await until(() => test.log.pending.sweeps === 0);
    deepEqual(await storedSegments(test.kv, "p_a"), []);
  });
}

Deno.test("HeadStore.ensureHead() pauses before it writes again", async () => {
  await using test = await createExpiring();
  test.kv.script("commit", failCheck);
  const head = test.log.ensureHead("p_a");
  await until(() => test.kv.calls.commit === 1 && test.kv.busy === 0);
  await flush();
  deepEqual([test.kv.calls.get, test.clock.liveTimers], [1, 1]);
  test.clock.advance(5);
  equal((await head).sequence, 0);
});

Deno.test("HeadStore.ensureHead() rejects if the store fails for another reason", async () => {
  await using test = await createExpiring();
  const cause = new TypeError("database or disk is full");
  test.kv.script("commit", fail(() => cause));
  await rejects(test.log.ensureHead("p_a"), { type: "log-unavailable", cause });
});

Deno.test("HeadStore releases the reserve for a deletion on a full disk, and for nothing else", async () => {
  let releases = 0;
  let isFull = true;
  const reserve = {
    release: () => {
      releases++;
      isFull = false;
      return Promise.resolve(true);
    },
    assertRoom: () => Promise.resolve(),
    [Symbol.dispose]() {},
  };
  await using test = await createTestLog({ reserve });
  await appendTexts(test, 3);
  test.kv.fallback = (call) =>
    call === "commit" && isFull
      ? fail(() => new TypeError("database or disk is full"))
      : passThrough;
  equal((await test.log.clear("p_a"))!.oldest, 4);
  equal(releases, 1);
  await test.advanceUntil(test.log.append("p_a", [textEvent("4")]));
  isFull = true;
  equal((await test.log.delete("p_a"))!.oldest, 5);
  equal(releases, 2);
  await test.advanceUntil(test.log.append("p_a", [textEvent("5")]));
  isFull = true;
  await rejects(test.advanceUntil(test.log.append("p_a", [textEvent("6")])));
  equal(releases, 2);
  test.kv.fallback = (call) => call === "commit" ? fail() : passThrough;
  await rejects(test.log.delete("p_a"), { type: "log-unavailable" });
  equal(releases, 2);
});
