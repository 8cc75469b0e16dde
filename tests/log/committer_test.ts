import {
  deepStrictEqual as deepEqual,
  match,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { RunnelError } from "../../lib/base/errors.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import {
  commitThenFail,
  commitThenFailCheck,
  commitThenHang,
  databaseLocked,
  fail,
  failCheck,
  type Fault,
  hang,
  passThrough,
  pause,
  runThenPassThrough,
} from "../support/fakes/kv.ts";
import {
  advanceLogsUntil,
  committedTexts,
  createTestLog,
  memoryStore,
  readTexts,
  TIMEOUT_MS,
} from "../support/log.ts";
import { flush, until } from "../support/wait.ts";
import {
  appendText,
  createWrittenLog,
  leaveOutcomeUnknown,
  LOG_UNAVAILABLE,
  OUTCOME_UNKNOWN,
  rejectionAtDeadline,
  waitForWriters,
  WITHOUT_AND_WITH_KEY,
} from "../support/written_log.ts";

// Commits that are refused or fail

const badAnswers: [string, Fault[]][] = [
  ["is refused", [failCheck]],
  ["is refused five times", Array(5).fill(failCheck)],
  ["throws that the file is locked", [fail(databaseLocked), fail(databaseLocked)]],
  ["throws any error", [fail()]],
  ["is applied and refused", [commitThenFailCheck]],
  ["is applied and throws that the file is locked", [commitThenFail(databaseLocked)]],
  ["is applied and throws any error", [commitThenFail()]],
  ["is refused, then applied and refused", [failCheck, commitThenFailCheck]],
  ["throws, then is applied and throws", [fail(), commitThenFail()]],
];
for (const [name, faults] of badAnswers) {
  for (const [keyName, key] of WITHOUT_AND_WITH_KEY) {
    Deno.test(`Committer stores an event ${keyName} once if its commit ${name}`, async () => {
      for (const create of [createTestLog, createWrittenLog]) {
        await using test = await create();
        const { sequence: before } = await test.log.head("p_a") ?? { sequence: 0 };
        test.kv.script("commit", ...faults);
        const receipt = await test.advanceUntil(appendText(test, "1", key));
        deepEqual([receipt.first, receipt.count, receipt.replayed], [before + 1, 1, false]);
        await appendText(test, "2");
        deepEqual((await readTexts(test.log, "p_a")).slice(before), ["1", "2"]);
        deepEqual(committedTexts(test.commits).slice(before), ["1", "2"]);
        if (key) equal((await appendText(test, "1", key)).first, receipt.first);
        equal(test.clock.liveTimers, 0);
      }
    });
  }
}

Deno.test("Committer tells its own commit from that of another writer in its place", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  await using other = await createTestLog(store);
  await appendText(test, "0");
  await appendText(other, "1");
  const receipt = await test.advanceUntil(appendText(test, "2"));
  equal(receipt.first, 3);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1", "2"]);
  deepEqual(committedTexts(test.commits), ["0", "2"]);
});

Deno.test("Committer finds its commit though another writer committed after it", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  await using other = await createTestLog(store);
  await appendText(test, "0");
  test.kv.script("commit", async (carryOut) => {
    await carryOut();
    await appendText(other, "2");
    return { ok: false };
  });
  equal((await advanceLogsUntil([test, other], appendText(test, "1"))).first, 2);
  equal((await appendText(test, "3")).first, 4);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1", "2", "3"]);
});

for (const [keyName, key] of WITHOUT_AND_WITH_KEY) {
  Deno.test(`Committer does not repeat a commit ${keyName} whose token was cleared`, async () => {
    await using store = await memoryStore();
    await using test = await createTestLog(store);
    await using other = await createTestLog(store);
    await appendText(test, "0");
    test.kv.script("commit", async (carryOut) => {
      await carryOut();
      await other.log.clear("p_a");
      await until(() => other.log.pending.sweeps === 0);
      return { ok: false };
    });
    const answer = advanceLogsUntil([test, other], appendText(test, "1", key));
    if (key) equal((await answer).first, 2);
    else await rejects(answer, OUTCOME_UNKNOWN);
    equal((await test.log.head("p_a"))!.sequence, 2);
    equal((await test.advanceUntil(appendText(test, "2"))).first, 3);
  });
}

Deno.test("Committer reads the head again after its pause between two tries", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  await using other = await createTestLog(store);
  await appendText(test, "0");
  const { commit: commits, getMany: reads } = test.kv.calls;
  test.kv.script("commit", runThenPassThrough(() => appendText(other, "faster")));
  const answer = appendText(test, "1");
  // It waits for its next try, because its clock stands still.
  await until(() => test.kv.calls.getMany === reads + 1 && test.kv.busy === 0);
  await flush();
  await appendText(other, "meanwhile");
  equal((await advanceLogsUntil([test, other], answer)).first, 4);
  equal(test.kv.calls.commit - commits, 2);
});

Deno.test("Committer fails if other writers are faster until its deadline", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  await using other = await createTestLog(store);
  await appendText(test, "0");
  let more = 0;
  test.kv.fallback = (call) =>
    call === "commit"
      ? runThenPassThrough(() => appendText(other, `other ${++more}`))
      : passThrough;
  const from = test.clock.now();
  await rejects(advanceLogsUntil([test, other], appendText(test, "1")), {
    ...LOG_UNAVAILABLE,
    cause: new Error("Other writers, or a clear, were faster every time"),
  });
  ok(test.clock.now() - from <= TIMEOUT_MS + 60);
  ok(more > 10);
  equal((await readTexts(test.log, "p_a")).includes("1"), false);
});

Deno.test("Committer stores nothing if a clear was faster and its deadline passes in the pause", async () => {
  await using test = await createWrittenLog();
  test.kv.script("commit", runThenPassThrough(() => test.log.clear("p_a")));
  const { getMany: reads } = test.kv.calls;
  const answer = appendText(test, "1");
  await until(() => test.kv.calls.getMany > reads && test.kv.busy === 0);
  await flush();
  test.clock.advance(TIMEOUT_MS);
  await rejects(answer, {
    ...LOG_UNAVAILABLE,
    cause: new Error("Other writers, or a clear, were faster every time"),
  });
  deepEqual(await readTexts(test.log, "p_a"), []);
  await appendText(test, "2");
  deepEqual(await readTexts(test.log, "p_a"), ["2"]);
});

Deno.test("Committer answers at its deadline though the clock is set back with each try", async () => {
  await using test = await createWrittenLog();
  let tries = 0;
  test.kv.fallback = (call) => {
    if (call !== "commit") return passThrough;
    test.clock.set(test.clock.now() - 3_600_000);
    tries++;
    return fail(() => new TypeError("database or disk is full"));
  };
  const from = test.clock.monotonic();
  await rejects(test.advanceUntil(appendText(test, "1")), RunnelError);
  ok(test.clock.monotonic() - from <= TIMEOUT_MS + 60);
  ok(tries > 10, `${tries} tries`);
});

Deno.test("Committer returns the store's error if it fails until the deadline", async () => {
  await using test = await createWrittenLog();
  const cause = new TypeError("database or disk is full");
  test.kv.fallback = (call) => call === "commit" ? fail(() => cause) : passThrough;
  await rejects(test.advanceUntil(appendText(test, "1")), { ...OUTCOME_UNKNOWN, cause });
});

Deno.test("Committer of two isolates stores every event once despite faults of all kinds", async () => {
  await using store = await memoryStore();
  await using one = await createTestLog({ ...store, timeoutMs: 60_000 });
  await using two = await createTestLog({ ...store, timeoutMs: 60_000 });
  const faults = [
    passThrough,
    commitThenFailCheck,
    commitThenFail(),
    failCheck,
    fail(databaseLocked),
  ];
  const stored: string[] = [];
  let turn = 0;
  for (const { kv } of [one, two]) {
    kv.fallback = (call) => call === "commit" ? faults[turn++ % faults.length]! : passThrough;
  }
  const work = [one, two].flatMap((test, side) =>
    Array.from({ length: 5 }, async (_, caller) => {
      for (let i = 0; i < 10; i++) {
        const text = `${side}:${caller}:${i}`;
        stored[(await appendText(test, text)).first - 1] = text;
      }
    })
  );
  await advanceLogsUntil([one, two], Promise.all(work));
  deepEqual(await readTexts(one.log, "p_a"), stored);
  equal(stored.filter(Boolean).length, 100);
  deepEqual(
    [...committedTexts(one.commits), ...committedTexts(two.commits)].sort(),
    stored.toSorted(),
  );
});

// Commits that are not answered in time

const noAnswers: [string, Fault, stands: boolean][] = [
  ["that is not applied", hang, false],
  ["that is applied", commitThenHang, true],
];
for (const [name, fault, stands] of noAnswers) {
  for (const [keyName, key] of WITHOUT_AND_WITH_KEY) {
    Deno.test(`Committer answers outcome-unknown for a commit ${name} ${keyName} at the deadline`, async () => {
      await using test = await createWrittenLog();
      test.kv.script("commit", fault);
      const error = await rejectionAtDeadline(test, appendText(test, "1", key));
      ok(error instanceof RunnelError);
      equal(error.type, "outcome-unknown");
      match((error.cause as Error).message, /did not answer within 3000 ms/);
      const receipt = await test.advanceUntil(appendText(test, key ? "1" : "2", key));
      deepEqual([receipt.first, receipt.replayed], [stands && !key ? 3 : 2, stands && !!key]);
      const texts = ["0", ...(stands || key ? ["1"] : []), ...(key ? [] : ["2"])];
      deepEqual(await readTexts(test.log, "p_a"), texts);
      deepEqual(committedTexts(test.commits), texts);
      equal(test.clock.liveTimers, 0);
    });
  }
}

Deno.test("Committer resolves an unknown outcome without a further append, after a pause", async () => {
  for (const fault of [hang, commitThenHang]) {
    await using test = await createWrittenLog();
    test.kv.script("commit", fault);
    await rejectionAtDeadline(test, appendText(test, "1"));
    const reads = test.kv.calls.getMany;
    test.clock.advance(999);
    await flush();
    equal(test.kv.calls.getMany, reads);
    test.clock.advance(1);
    await waitForWriters(test);
    deepEqual(committedTexts(test.commits), await readTexts(test.log, "p_a"));
    equal(test.commits.length, fault === hang ? 1 : 2);
  }
});

Deno.test("Committer delivers a commit of unknown outcome before the next append", async () => {
  await using test = await createWrittenLog();
  const commit = await leaveOutcomeUnknown(test, "1", "answer");
  const [next, other] = [appendText(test, "2"), appendText(test, "3")];
  deepEqual((await Promise.all([next, other])).map(({ first }) => first), [3, 4]);
  deepEqual(committedTexts(test.commits), ["0", "1", "2", "3"]);
  commit.release();
  await flush();
  deepEqual(committedTexts(test.commits), ["0", "1", "2", "3"]);
});

for (const create of [createTestLog, createWrittenLog]) {
  const name = create === createTestLog ? "the first commit" : "a commit";
  Deno.test(`Committer fences out ${name} of unknown outcome, so that it is never applied late`, async () => {
    await using test = await create();
    const before = await readTexts(test.log, "p_a");
    const commit = await leaveOutcomeUnknown(test, "late", "call");
    test.clock.advance(1000);
    await waitForWriters(test);
    commit.release();
    deepEqual(await commit.done, { ok: false });
    deepEqual(await readTexts(test.log, "p_a"), before);
    await appendText(test, "next");
    deepEqual(await readTexts(test.log, "p_a"), [...before, "next"]);
    deepEqual(committedTexts(test.commits), [...before, "next"]);
  });
}

Deno.test("Committer delivers a commit that is applied just before it is fenced out", async () => {
  await using test = await createWrittenLog();
  const late = await leaveOutcomeUnknown(test, "1", "call");
  // Its token was searched and not found; it is applied before the head is rewritten.
  test.kv.script("commit", runThenPassThrough(() => (late.release(), late.done)));
  equal((await appendText(test, "2")).first, 3);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1", "2"]);
  deepEqual(committedTexts(test.commits), ["0", "1", "2"]);
});

Deno.test("Committer delivers a commit that is applied in the pause before it is repeated", async () => {
  await using test = await createWrittenLog();
  const late = pause("call");
  // It is refused, but is still applied.
  test.kv.script("commit", (carryOut) => (void late.fault(carryOut), failCheck(carryOut)));
  const { getMany: reads } = test.kv.calls;
  const answer = appendText(test, "1");
  await until(() => test.kv.calls.getMany === reads + 1 && test.kv.busy === 0);
  await flush();
  late.release();
  await late.done;
  equal((await test.advanceUntil(answer)).first, 2);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1"]);
  deepEqual(committedTexts(test.commits), ["0", "1"]);
});

Deno.test("Committer delivers a commit that is applied just before it is repeated", async () => {
  await using test = await createWrittenLog();
  const late = pause("call");
  test.kv.script(
    "commit",
    // It is refused, but is still applied, while the same commit is sent again.
    (carryOut) => (void late.fault(carryOut), failCheck(carryOut)),
    runThenPassThrough(() => (late.release(), late.done)),
  );
  equal((await test.advanceUntil(appendText(test, "1"))).first, 2);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1"]);
  deepEqual(committedTexts(test.commits), ["0", "1"]);
});

const fences: [string, Fault][] = [
  ["is applied and refused", commitThenFailCheck],
  ["is applied and not answered", commitThenHang],
  ["is applied and throws", commitThenFail()],
  ["is not answered", hang],
  ["is refused", failCheck],
  ["throws that the file is locked", fail(databaseLocked)],
];
for (const [name, fence] of fences) {
  Deno.test(`Committer fences out a commit though the fencing write ${name}`, async () => {
    await using test = await createWrittenLog();
    const commit = await leaveOutcomeUnknown(test, "late", "call");
    test.kv.script("commit", fence);
    await test.advanceUntil(waitForWriters(test));
    commit.release();
    deepEqual(await commit.done, { ok: false });
    await appendText(test, "1");
    deepEqual(await readTexts(test.log, "p_a"), ["0", "1"]);
    deepEqual(committedTexts(test.commits), ["0", "1"]);
  });
}

Deno.test("Committer tries to fence out a commit only until its deadline", async () => {
  await using test = await createWrittenLog();
  const commit = await leaveOutcomeUnknown(test, "1", "call");
  let tries = 0;
  test.kv.fallback = (call) => {
    if (call !== "commit") return passThrough;
    // Each try takes a while, but no call reaches its own deadline.
    test.clock.pass(100);
    return tries++ < 1000 ? failCheck : passThrough;
  };
  await rejects(appendText(test, "2"), {
    ...LOG_UNAVAILABLE,
    cause: new Error("The log refuses every commit"),
  });
  equal(tries, TIMEOUT_MS / 100);
  test.kv.fallback = () => passThrough;
  await test.advanceUntil(appendText(test, "3"));
  commit.release();
  deepEqual(await commit.done, { ok: false });
  deepEqual(await readTexts(test.log, "p_a"), ["0", "3"]);
});

Deno.test("Committer asks for a sweep only when a commit trims the log", async () => {
  await using test = await createTestLog({ retention: { events: 8, ms: 0 } });
  const sweeps: number[] = [];
  for (let i = 1; i <= 10; i++) {
    await test.advanceUntil(appendText(test, `${i}`));
    const { oldest } = (await test.log.head("p_a"))!;
    await until(() => test.log.pending.sweeps === 0);
    if (test.kv.calls.next > 0) sweeps.push(oldest);
    test.kv.calls.next = 0;
  }
  deepEqual(sweeps, [2, 3]);
});

Deno.test("Committer keeps an outcome unknown as long as the store does not answer", async () => {
  await using test = await createWrittenLog();
  const commit = await leaveOutcomeUnknown(test, "1", "call", "k");
  for (let i = 0; i < 5; i++) {
    test.kv.script("getMany", i % 2 ? hang : fail());
    await rejects(test.advanceUntil(appendText(test, `refused ${i}`)), LOG_UNAVAILABLE);
  }
  commit.release();
  equal((await commit.done as Deno.KvCommitResult).ok, true);
  const receipt = await test.advanceUntil(appendText(test, "1", "k"));
  deepEqual([receipt.first, receipt.replayed], [2, true]);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1"]);
  deepEqual(committedTexts(test.commits), ["0", "1"]);
});

Deno.test("Committer finds that another writer fenced out its commit", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  await using other = await createTestLog(store);
  await appendText(test, "0");
  const commit = await leaveOutcomeUnknown(test, "1", "call", "k");
  equal((await appendText(other, "1", "k")).first, 2);
  commit.release();
  deepEqual(await commit.done, { ok: false });
  const commits = test.kv.calls.commit;
  const receipt = await test.advanceUntil(appendText(test, "1", "k"));
  equal(test.kv.calls.commit, commits, "no fencing write is needed");
  deepEqual([receipt.first, receipt.replayed], [2, true]);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1"]);
  deepEqual(committedTexts(test.commits), ["0"]);
});

Deno.test("Committer replays a key of an unknown outcome that another writer replayed", async () => {
  await using store = await memoryStore();
  await using test = await createTestLog(store);
  await using other = await createTestLog(store);
  await appendText(test, "0");
  await leaveOutcomeUnknown(test, "1", "answer", "k");
  const receipts = await Promise.all([
    appendText(other, "1", "k"),
    test.advanceUntil(appendText(test, "1", "k")),
  ]);
  for (const { first, replayed } of receipts) deepEqual([first, replayed], [2, true]);
  deepEqual(await readTexts(test.log, "p_a"), ["0", "1"]);
});

// The limit of idempotency keys

const TOO_MANY_KEYS = { type: "too-many-requests" };

Deno.test("Committer refuses new idempotency keys beyond the limit, and forgets none before its time", async () => {
  await using store = await memoryStore();
  const clock = new FakeClock();
  const first = await createTestLog({ ...store, clock, maxKeys: 3 });
  for (let i = 1; i <= 3; i++) {
    await appendText(first, `${i}`, `${i}`);
    clock.advance(60 * 60 * 1000);
  }
  await first.log.close();
  // The count outlives the process.
  await using test = await createTestLog({ ...store, clock, maxKeys: 3 });
  await rejects(appendText(test, "4", "4"), TOO_MANY_KEYS);
  equal((await appendText(test, "5")).first, 4);
  equal((await appendText(test, "1", "1")).replayed, true);
  clock.advance(21 * 60 * 60 * 1000 - 1);
  await rejects(appendText(test, "4", "4"), TOO_MANY_KEYS);
  clock.advance(60 * 60 * 1000 + 1);
  equal((await appendText(test, "4", "4")).first, 5);
  await rejects(appendText(test, "6", "6"), TOO_MANY_KEYS);
});

Deno.test("Committer refuses only the keys of a batch that are too many", async () => {
  await using test = await createTestLog({ maxKeys: 5 });
  const answers = await Promise.allSettled(
    Array.from({ length: 8 }, (_, i) => appendText(test, `${i}`, `${i}`)),
  );
  equal(answers.filter(({ status }) => status === "fulfilled").length, 5);
  deepEqual((await readTexts(test.log, "p_a")).length, 5);
});

Deno.test("Committer counts the keys of two logs on one store, and none of a deleted pipeline", async () => {
  await using store = await memoryStore();
  await using a = await createTestLog({ ...store, maxKeys: 4 });
  await using b = await createTestLog({ ...store, maxKeys: 4 });
  for (let i = 0; i < 4; i++) {
    await advanceLogsUntil([a, b], appendText(i % 2 ? a : b, `${i}`, `${i}`));
  }
  for (const log of [a, b]) {
    await rejects(advanceLogsUntil([a, b], appendText(log, "5", "5")), TOO_MANY_KEYS);
  }
  await advanceLogsUntil([a, b], a.log.delete("p_a"));
  equal((await advanceLogsUntil([a, b], appendText(b, "5", "5"))).first, 5);
});
