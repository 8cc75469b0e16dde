import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
  throws as throwsError,
} from "node:assert/strict";
import type { Change } from "../../lib/log/commit.ts";
import { fail, hang, type KvCall, passThrough, pause } from "../support/fakes/kv.ts";
import {
  committedTexts,
  createTestLog,
  fileStore,
  memoryStore,
  readTexts,
  type TestLog,
  textEvent,
  TIMEOUT_MS,
} from "../support/log.ts";
import { testEventLog } from "../support/log_contract.ts";
import { flush, until } from "../support/wait.ts";

testEventLog("memory", memoryStore);
testEventLog("a file", fileStore);

Deno.test("EventLog on a new store has other epochs than the one before", async () => {
  await using one = await createTestLog();
  await using other = await createTestLog();
  const [a, b] = [one, other].map(({ log }) => log.append("p_a", [textEvent("1")]));
  notEqual((await a!).epoch, (await b!).epoch);
});

const calls: [string, KvCall, (test: TestLog) => Promise<unknown>][] = [
  ["readAfter", "get", ({ log }) => log.readAfter("p_a", 0, Infinity)],
  ["head", "get", ({ log }) => log.head("p_a")],
  ["ensureHead", "get", ({ log }) => log.ensureHead("p_a")],
  ["clear", "get", ({ log }) => log.clear("p_a")],
  // It writes, because a store that can be read may still take no events.
  ["ping", "commit", ({ log }) => log.ping(TIMEOUT_MS)],
];
for (const [name, call, make] of calls) {
  Deno.test(`EventLog.${name}() rejects at its deadline`, async () => {
    await using test = await createTestLog();
    test.kv.script(call, hang);
    const refused = rejects(make(test), { type: "log-unavailable" });
    test.clock.advance(TIMEOUT_MS);
    await refused;
    equal(test.clock.liveTimers, 0);
  });

  Deno.test(`EventLog.${name}() keeps the store's own error out of its message`, async () => {
    await using test = await createTestLog();
    const cause = new Error("secret");
    test.kv.script(call, fail(() => cause));
    await rejects(make(test), {
      type: "log-unavailable",
      message: "Cannot reach the log. Try again",
      cause,
    });
  });
}

Deno.test("EventLog.ping() rejects at the deadline of its caller", async () => {
  await using test = await createTestLog();
  test.kv.script("commit", hang);
  const refused = rejects(test.log.ping(500), { type: "log-unavailable" });
  test.clock.advance(500);
  await refused;
});

// Waiting requests

Deno.test("EventLog.append() refuses requests beyond the backlog, and does not store them", async () => {
  await using test = await createTestLog({ maxWaitingBytes: 10_000 });
  const first = pause("call");
  test.kv.script("commit", first.fault);
  const texts = Array.from({ length: 12 }, (_, i) => `${i}`.padEnd(1000, "."));
  const answers = Promise.allSettled(
    texts.map((text) => test.log.append("p_a", [textEvent(text)])),
  );
  await first.reached;
  ok(test.log.pending.waitingBytes <= 10_000);
  first.release();
  const accepted = texts.filter((_, i) => i < 6);
  deepEqual(
    (await answers).map((answer) => answer.status === "rejected" ? answer.reason.type : "stored"),
    texts.map((text) => accepted.includes(text) ? "stored" : "overloaded"),
  );
  deepEqual(await readTexts(test.log, "p_a"), accepted);
  equal(test.log.pending.waitingBytes, 0);
});

Deno.test("EventLog.append() does not count a refused request as waiting", async () => {
  await using test = await createTestLog();
  test.kv.script("get", fail());
  await rejects(test.log.append("p_a", [textEvent("1")]), { type: "log-unavailable" });
  test.kv.script("commit", hang);
  const unknown = test.log.append("p_a", [textEvent("2")], { key: "k" });
  await until(() => test.kv.calls.commit === 1);
  ok(test.log.pending.waitingBytes > 0);
  test.clock.advance(TIMEOUT_MS);
  await rejects(unknown, { type: "outcome-unknown" });
  // Its events stay in memory until the log tells what became of them.
  ok(test.log.pending.waitingBytes > 0);
  await test.advanceUntil(test.log.append("p_a", [textEvent("3")]));
  equal(test.log.pending.waitingBytes, 0);
});

Deno.test("EventLog.append() bounds the memory of unknown outcomes in all pipelines", async () => {
  await using test = await createTestLog({ maxWaitingBytes: 1024 * 1024 });
  const events = Array.from({ length: 6 }, () => textEvent("x".repeat(50_000)));
  const publish = (pipeline: string) => test.log.append(pipeline, events);
  const outcomes: string[] = [];
  test.kv.fallback = (call) => call === "commit" ? hang : passThrough;
  for (let i = 0; i < 6; i++) {
    const outcome = publish(`p_${i}`).then(() => "stored", ({ type }) => type);
    outcomes.push(await test.advanceUntil(outcome));
  }
  const unknown = outcomes.filter((outcome) => outcome === "outcome-unknown").length;
  equal(unknown, 3, outcomes.join());
  deepEqual([...new Set(outcomes.slice(unknown))], ["overloaded"]);
  test.kv.fallback = () => passThrough;
  await test.advanceUntil(until(() => test.log.pending.waitingBytes === 0));
  await test.advanceUntil(publish("p_new"));
});

/** Publishes to so many pipelines, some of them at once. */
async function publishToMany({ log }: TestLog, count: number): Promise<void> {
  for (let i = 0; i < count; i += 50) {
    const some = Array.from({ length: 50 }, (_, at) => `p_${i + at}`);
    await Promise.all(some.map((pipeline) => log.append(pipeline, [textEvent("1")])));
  }
}

Deno.test("EventLog evicts idle writers, and needs nothing that they have cached", async () => {
  await using test = await createTestLog({ maxIdleWriters: 100 });
  await test.log.append("p_a", [textEvent("1")], { key: "k" });
  await publishToMany(test, 150);
  const reads = test.kv.calls.get;
  deepEqual((await test.log.append("p_a", [textEvent("2")])).first, 2);
  equal(test.kv.calls.get, reads + 1);
  equal((await test.log.append("p_a", [textEvent("1")], { key: "k" })).replayed, true);
});

Deno.test("EventLog commits to as many pipelines in turn without reading their heads again", async () => {
  await using test = await createTestLog({ maxIdleWriters: 100 });
  await publishToMany(test, 100);
  const reads = test.kv.calls.get;
  await publishToMany(test, 100);
  equal(test.kv.calls.get, reads);
});

Deno.test("EventLog reads no head for the first event after a subscriber came", async () => {
  await using test = await createTestLog();
  await test.log.append("p_b", [textEvent("1")]);
  const heads = await Promise.all(["p_a", "p_b"].map((id) => test.log.ensureHead(id)));
  const { get, getMany } = test.kv.calls;
  const receipts = await Promise.all(
    ["p_a", "p_b"].map((id) => test.log.append(id, [textEvent("2")])),
  );
  deepEqual([test.kv.calls.get, test.kv.calls.getMany], [get, getMany]);
  deepEqual(receipts.map(({ epoch }) => epoch), heads.map(({ epoch }) => epoch));
  deepEqual(receipts.map(({ first }) => first), [1, 2]);
});

Deno.test("EventLog reads the head anew if another log wrote it after a subscriber came", async () => {
  await using file = await fileStore();
  await using here = await createTestLog({ open: file.open });
  await using there = await createTestLog({ open: file.open });
  await here.log.ensureHead("p_a");
  await there.log.append("p_a", [textEvent("1")]);
  const { first } = await here.advanceUntil(here.log.append("p_a", [textEvent("2")]));
  equal(first, 2);
  deepEqual(await readTexts(here.log, "p_a"), ["1", "2"]);
});

Deno.test("EventLog reads the head for the first event if the store is shared", async () => {
  await using test = await createTestLog({ shared: true });
  await test.log.ensureHead("p_a");
  const { get } = test.kv.calls;
  await test.log.append("p_a", [textEvent("1")]);
  equal(test.kv.calls.get, get + 1);
});

Deno.test("EventLog does not evict a writer that has a commit in flight", async () => {
  await using test = await createTestLog({ maxIdleWriters: 100 });
  const commit = pause("call");
  test.kv.script("commit", commit.fault);
  const first = test.log.append("p_a", [textEvent("1")]);
  await commit.reached;
  await publishToMany(test, 150);
  const commits = test.kv.calls.commit;
  const second = test.log.append("p_a", [textEvent("2")]);
  await flush();
  equal(test.kv.calls.commit, commits);
  commit.release();
  deepEqual((await Promise.all([first, second])).map(({ first }) => first), [1, 2]);
});

// Closing

Deno.test("EventLog.close() waits for a commit in flight and refuses waiting requests", async () => {
  await using test = await createTestLog();
  const first = pause("call");
  test.kv.script("commit", first.fault);
  const answer = test.log.append("p_a", [textEvent("1")]);
  await first.reached;
  const waiting = rejects(test.log.append("p_a", [textEvent("2")]), { type: "draining" });
  const closed = test.log.close();
  await waiting;
  equal(test.kv.closed, false);
  first.release();
  equal((await answer).first, 1);
  await closed;
  equal(test.kv.closed, true);
  equal(test.clock.liveTimers, 0);
});

Deno.test("EventLog.close() waits for a deletion in flight before it closes the store", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", [textEvent("1")]);
  const deletion = pause("call");
  test.kv.script("commit", passThrough, deletion.fault);
  await test.log.clear("p_a");
  await deletion.reached;
  const closed = test.log.close();
  await flush();
  equal(test.kv.closed, false);
  deletion.release();
  await closed;
  equal(test.kv.closed, true);
});

for (const [name, key] of [["", undefined], [" with a key", "k"]] as const) {
  Deno.test(`EventLog.append()${name} is refused after close()`, async () => {
    await using test = await createTestLog();
    await test.log.append("p_a", [textEvent("1")]);
    await test.log.close();
    for (const pipeline of ["p_a", "p_b"]) {
      await rejects(test.log.append(pipeline, [textEvent("2")], { key }), { type: "draining" });
    }
  });

  Deno.test(`EventLog.append()${name} is stored or refused during close()`, async () => {
    await using test = await createTestLog();
    await test.log.append("p_a", [textEvent("1")]);
    const answers = Promise.allSettled(
      ["p_a", "p_b"].map((pipeline) => test.log.append(pipeline, [textEvent("2")], { key })),
    );
    await test.log.close();
    for (const answer of await answers) {
      ok(answer.status === "fulfilled" || answer.reason.type === "draining", `${answer}`);
    }
    equal(test.clock.liveTimers, 0);
  });
}

Deno.test("EventLog.append() resolves if the delivery of its commit fails, which is reported", async () => {
  await using test = await createTestLog();
  test.listening[Symbol.dispose]();
  test.log.listen({
    onChange() {
      throw new Error("no delivery");
    },
    onHeads() {},
  });
  equal((await test.log.append("p_a", [textEvent("1")])).first, 1);
  deepEqual(test.reports, ["Cannot deliver a change of a pipeline"]);
  deepEqual(await readTexts(test.log, "p_a"), ["1"]);
});

Deno.test("EventLog.listen() refuses a second listener until the first is disposed", async () => {
  await using test = await createTestLog();
  const received: Change[] = [];
  const other = { onChange: (change: Change) => void received.push(change), onHeads() {} };
  throwsError(() => test.log.listen(other), /^Error: Cannot listen to the log: it has a listener/);
  await test.log.append("p_a", [textEvent("1")]);
  deepEqual([committedTexts(test.commits), received.length], [["1"], 0]);
  test.listening[Symbol.dispose]();
  test.log.listen(other);
  // Disposed again, it does not take away the listener that came after it.
  test.listening[Symbol.dispose]();
  await test.log.append("p_a", [textEvent("2")]);
  deepEqual([committedTexts(test.commits), received.length], [["1"], 1]);
});

Deno.test("EventLog.append() resolves without a listener, which is reported", async () => {
  await using test = await createTestLog();
  test.listening[Symbol.dispose]();
  equal((await test.log.append("p_a", [textEvent("1")])).first, 1);
  deepEqual(test.reports, ["Cannot deliver a change of a pipeline"]);
});
