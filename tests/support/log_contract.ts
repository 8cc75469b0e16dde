/**
 * Contract of a durable log: one suite that runs on each store.
 *
 * @module
 */

import {
  deepStrictEqual as deepEqual,
  match,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { newHead } from "../../lib/log/head.ts";
import { KEY_LIFETIME_MS } from "../../lib/log/idempotency.ts";
import { headKey } from "../../lib/log/keys.ts";
import { FakeClock } from "./fakes/clock.ts";
import {
  advanceLogsUntil,
  createTestLog,
  payloadText,
  readTexts,
  type SharedStore,
  storedKeys,
  storedSegments,
  type TestLog,
  type TestLogOptions,
  textEvent,
} from "./log.ts";
import { until } from "./wait.ts";

const HOUR_MS = 60 * 60 * 1000;

/** Logs of one test on one store, on one clock. */
interface Logs extends AsyncDisposable {
  clock: FakeClock;
  /** Opens a log. On a file it has its own connection. */
  open: (options?: TestLogOptions) => Promise<TestLog>;
  /** Closes a log and opens the store again. */
  reopen: (log: TestLog, options?: TestLogOptions) => Promise<TestLog>;
}

/** Registers the suite for a store. */
export function testEventLog(
  storeName: string,
  createStore: () => Promise<SharedStore>,
  register: (name: string, fn: () => Promise<void>) => void = Deno.test,
): void {
  function test(name: string, run: (logs: Logs) => Promise<void>): void {
    register(`EventLog on ${storeName}: ${name}`, async () => {
      await using store = await createStore();
      const clock = new FakeClock();
      await using opened = new AsyncDisposableStack();
      const open = async (options: TestLogOptions = {}) =>
        opened.use(await createTestLog({ ...store, clock, ...options }));
      await run({
        clock,
        open,
        async reopen({ log }, options) {
          await log.close();
          return await open(options);
        },
        async [Symbol.asyncDispose]() {},
      });
    });
  }

  test("append() returns contiguous sequences of one epoch, also after reopening", async (logs) => {
    let { log, ...rest } = await logs.open();
    const receipts = [
      await log.append("p_a", [textEvent("1")]),
      await log.append("p_a", [textEvent("2"), textEvent("3")]),
    ];
    ({ log } = await logs.reopen({ log, ...rest }));
    receipts.push(await log.append("p_a", [textEvent("4")]));
    const { epoch } = receipts[0]!;
    match(epoch, /^[A-Za-z0-9_-]{11}$/);
    deepEqual(receipts, [
      { epoch, first: 1, count: 1, replayed: false },
      { epoch, first: 2, count: 2, replayed: false },
      { epoch, first: 4, count: 1, replayed: false },
    ]);
    deepEqual(await readTexts(log, "p_a"), ["1", "2", "3", "4"]);
  });

  test("append() keeps channel, payload and time of an event", async (logs) => {
    const first = await logs.open();
    const payload = new Uint8Array([0, 10, 13, 255, 226, 130, 172]);
    await first.log.append("p_a", [{ channel: "zwölf €", payload }]);
    logs.clock.advance(5);
    await first.log.append("p_a", [textEvent("2")]);
    const { log } = await logs.reopen(first);
    const { events } = (await log.readAfter("p_a", 0, Infinity))!;
    deepEqual(events, [
      { sequence: 1, time: logs.clock.now() - 5, channel: "zwölf €", payload },
      { ...textEvent("2"), sequence: 2, time: logs.clock.now() },
    ]);
  });

  test("append() never gives an event an earlier time than its predecessor", async (logs) => {
    const { log } = await logs.open();
    await log.append("p_a", [textEvent("1")]);
    logs.clock.set(logs.clock.now() - HOUR_MS);
    await log.append("p_a", [textEvent("2")]);
    const { events } = (await log.readAfter("p_a", 0, Infinity))!;
    equal(events[1]!.time, events[0]!.time);
  });

  test("append() takes the time of a clock that was set back by more than an hour", async (logs) => {
    const { log, reports } = await logs.open();
    const real = logs.clock.now();
    logs.clock.set(real + 365 * 24 * HOUR_MS);
    for (const pipeline of ["p_a", "p_b"]) await log.append(pipeline, [textEvent("1")]);
    logs.clock.set(real);
    for (const pipeline of ["p_a", "p_b", "p_a"]) await log.append(pipeline, [textEvent("2")]);
    const { events } = (await log.readAfter("p_a", 0, Infinity))!;
    deepEqual(events.map(({ time }) => time), [real + 365 * 24 * HOUR_MS, real, real]);
    deepEqual(reports, [
      "The clock was set back: new events of a pipeline are earlier than those before them. " +
      "Steps of other pipelines are not reported for an hour",
    ]);
  });

  test("append() separates pipelines, each with its own epoch", async (logs) => {
    const { log } = await logs.open();
    const [a, b] = await Promise.all(
      ["p_a", "p_ab"].map((pipeline) => log.append(pipeline, [textEvent(pipeline)])),
    );
    deepEqual([a!.first, b!.first], [1, 1]);
    notEqual(a!.epoch, b!.epoch);
    deepEqual(await readTexts(log, "p_a"), ["p_a"]);
    deepEqual(await readTexts(log, "p_ab"), ["p_ab"]);
  });

  test("append() commits waiting requests together, each of them contiguous", async (logs) => {
    const { log, kv } = await logs.open();
    const requests = Array.from(
      { length: 500 },
      (_, i) => [textEvent(`${i}a`), textEvent(`${i}b`)],
    );
    const receipts = await Promise.all(requests.map((events) => log.append("p_a", events)));
    deepEqual(receipts.map(({ first }) => first), requests.map((_, i) => 1 + 2 * i));
    deepEqual(await readTexts(log, "p_a"), requests.flat().map(payloadText));
    ok(kv.commits <= 4, `${kv.commits} commits`);
  });

  test("append() keeps the order of each of a hundred callers", async (logs) => {
    const { log, kv } = await logs.open();
    const stored: string[] = [];
    await Promise.all(Array.from({ length: 100 }, async (_, caller) => {
      for (let i = 0; i < 5; i++) {
        const { first } = await log.append("p_a", [textEvent(`${caller}:${i}`)]);
        stored[first - 1] = `${caller}:${i}`;
      }
    }));
    const texts = await readTexts(log, "p_a");
    deepEqual(texts, stored);
    for (let caller = 0; caller < 100; caller++) {
      const own = texts.filter((text) => text.startsWith(`${caller}:`));
      deepEqual(own, [0, 1, 2, 3, 4].map((i) => `${caller}:${i}`));
    }
    ok(kv.commits <= 20, `${kv.commits} commits`);
  });

  test("append() makes one atomic commit of a request of many segments", async (logs) => {
    const { log, kv } = await logs.open();
    const events = Array.from({ length: 1000 }, (_, i) => textEvent(`${i}`.padEnd(500, ".")));
    deepEqual((await log.append("p_a", events)).count, 1000);
    equal(kv.commits, 1);
    ok((await storedSegments(kv, "p_a")).length >= 8);
    deepEqual(await readTexts(log, "p_a"), events.map(payloadText));
  });

  test("append() stays within the limits of a commit with many keys and bytes", async (logs) => {
    const test = await logs.open();
    const texts = Array.from({ length: 900 }, (_, i) => `${i}`.padEnd(1500, "."));
    const receipts = await Promise.all(
      texts.map((text) => test.log.append(`p_${"a".repeat(62)}`, [textEvent(text)], { key: text })),
    );
    deepEqual(new Set(receipts.map(({ first }) => first)).size, 900);
    equal(test.kv.commits, test.kv.calls.commit);
  });

  test("append() with one key 20 times at once stores once and replays 19 times", async (logs) => {
    const { log } = await logs.open();
    const receipts = await Promise.all(
      Array.from(
        { length: 20 },
        () => log.append("p_a", [textEvent("1"), textEvent("2")], { key: "k" }),
      ),
    );
    deepEqual(receipts.map(({ replayed }) => replayed).sort(), [false, ...Array(19).fill(true)]);
    for (const { epoch, first, count } of receipts) {
      deepEqual({ epoch, first, count }, { epoch: receipts[0]!.epoch, first: 1, count: 2 });
    }
    deepEqual(await readTexts(log, "p_a"), ["1", "2"]);
  });

  test("append() replays a key from before the reopening", async (logs) => {
    const first = await logs.open();
    await first.log.append("p_a", [textEvent("0")]);
    const receipt = await first.log.append("p_a", [textEvent("1")], { key: "k" });
    await first.log.append("p_a", [textEvent("2")]);
    const { log } = await logs.reopen(first);
    deepEqual(await log.append("p_a", [textEvent("1")], { key: "k" }), {
      ...receipt,
      replayed: true,
    });
    deepEqual(await readTexts(log, "p_a"), ["0", "1", "2"]);
  });

  test("append() replays a key though its events were cleared", async (logs) => {
    const { log } = await logs.open();
    const receipt = await log.append("p_a", [textEvent("1")], { key: "k" });
    await log.clear("p_a");
    deepEqual(await log.append("p_a", [textEvent("1")], { key: "k" }), {
      ...receipt,
      replayed: true,
    });
    deepEqual(await readTexts(log, "p_a"), []);
  });

  test("append() refuses a key with other events, at once and later", async (logs) => {
    let test = await logs.open();
    const bodies = [
      [textEvent("1")],
      [textEvent("2")],
      [textEvent("1", "other")],
      [textEvent("1"), textEvent("1")],
    ];
    const answers = await Promise.allSettled(
      bodies.map((events) => test.log.append("p_a", events, { key: "k" })),
    );
    const winner = answers.findIndex(({ status }) => status === "fulfilled");
    const others = bodies.filter((_, i) => i !== winner);
    equal(answers.filter(({ status }) => status === "fulfilled").length, 1);
    for (const reopened of [false, true]) {
      if (reopened) test = await logs.reopen(test);
      for (const events of others) {
        await rejects(test.log.append("p_a", events, { key: "k" }), { type: "key-reused" });
      }
      equal((await test.log.append("p_a", bodies[winner]!, { key: "k" })).replayed, true);
    }
    deepEqual(await readTexts(test.log, "p_a"), bodies[winner]!.map(payloadText));
  });

  test("append() replays the known keys of a batch and stores the other requests", async (logs) => {
    const { log } = await logs.open();
    const keys = Array.from({ length: 35 }, (_, i) => `k${i}`);
    for (const key of keys.filter((_, i) => i % 3 === 0)) {
      await log.append("p_a", [textEvent(key)], { key });
    }
    const receipts = await Promise.all(
      keys.map((key) => log.append("p_a", [textEvent(key)], { key })),
    );
    deepEqual(receipts.map(({ replayed }) => replayed), keys.map((_, i) => i % 3 === 0));
    const texts = await readTexts(log, "p_a");
    deepEqual(texts.toSorted(), keys.toSorted());
    receipts.forEach(({ first }, i) => equal(texts[first - 1], keys[i]));
  });

  test("append() accepts the same key in another pipeline", async (logs) => {
    const { log } = await logs.open();
    await log.append("p_a", [textEvent("1")], { key: "k" });
    equal((await log.append("p_b", [textEvent("2")], { key: "k" })).replayed, false);
  });

  test("append() forgets a key after 24 hours, to the millisecond", async (logs) => {
    const { log } = await logs.open();
    await log.append("p_a", [textEvent("1")], { key: "k" });
    logs.clock.advance(24 * HOUR_MS - 1);
    equal((await log.append("p_a", [textEvent("1")], { key: "k" })).replayed, true);
    logs.clock.advance(1);
    equal((await log.append("p_a", [textEvent("2")], { key: "k" })).replayed, false);
    equal((await log.append("p_a", [textEvent("2")], { key: "k" })).replayed, true);
    deepEqual(await readTexts(log, "p_a"), ["1", "2"]);
  });

  test("append() lets the record of a key expire after 24 hours, and nothing else", async (logs) => {
    const { log, kv } = await logs.open();
    await log.ensureHead("p_a");
    kv.written.length = 0;
    await log.append("p_a", [textEvent("1")], { key: "k" });
    deepEqual(
      kv.written.map(({ key, expireIn }) => [key[0], expireIn]),
      [["head", undefined], ["log", undefined], ["once", KEY_LIFETIME_MS]],
    );
  });

  test("append() with one key in two logs at once stores one event", async (logs) => {
    const [a, b] = [await logs.open(), await logs.open()];
    for (let i = 0; i < 10; i++) {
      const answers = [a, b, a, b].map(({ log }) =>
        log.append("p_a", [textEvent(`${i}`)], { key: `${i}` })
      );
      const receipts = await advanceLogsUntil([a, b], Promise.all(answers));
      equal(receipts.filter(({ replayed }) => !replayed).length, 1);
      equal(new Set(receipts.map(({ epoch, first }) => `${epoch}-${first}`)).size, 1);
    }
    deepEqual(await readTexts(a.log, "p_a"), Array.from({ length: 10 }, (_, i) => `${i}`));
  });

  test("append() in two logs at once stores every event once, contiguously", async (logs) => {
    const both = [
      await logs.open({ timeoutMs: 60_000 }),
      await logs.open({ timeoutMs: 60_000 }),
    ] as const;
    const stored: string[] = [];
    const callers = both.flatMap(({ log }, side) =>
      Array.from({ length: 10 }, async (_, caller) => {
        for (let i = 0; i < 5; i++) {
          const text = `${side}:${caller}:${i}`;
          const { first } = await log.append("p_a", [textEvent(text)]);
          equal(stored[first - 1], undefined);
          stored[first - 1] = text;
        }
      })
    );
    await advanceLogsUntil(both, Promise.all(callers));
    equal(stored.length, 100);
    deepEqual(await readTexts(both[0].log, "p_a"), stored);
    const { sequence } = (await both[1].log.head("p_a"))!;
    equal(sequence, 100);
  });

  test("retention keeps at least its events and its time, and not much more", async (logs) => {
    const { log } = await logs.open();
    const times: number[] = [];
    for (let i = 0; i < 60; i++) {
      logs.clock.advance(2_500);
      await log.append("p_a", Array(100).fill(textEvent("1")));
      times.push(logs.clock.now());
      const { oldest, sequence } = (await log.head("p_a"))!;
      const young = times.filter((time) => time > logs.clock.now() - 60_000).length * 100;
      const wanted = Math.min(sequence, Math.max(1000, young));
      const kept = sequence - oldest + 1;
      ok(kept >= wanted, `kept ${kept} of ${wanted}`);
      ok(kept <= Math.max(wanted, 2400) + 900, `kept ${kept} of ${wanted}`);
    }
  });

  test("retention keeps its number of events though they are old", async (logs) => {
    const { log } = await logs.open();
    for (let i = 0; i < 30; i++) {
      // Otherwise a sweep would reach its deadline.
      await until(() => log.pending.sweeps === 0);
      logs.clock.advance(HOUR_MS);
      await log.append("p_a", Array(100).fill(textEvent("1")));
    }
    await until(() => log.pending.sweeps === 0);
    const { oldest } = (await log.head("p_a"))!;
    ok(oldest > 1 && oldest <= 2001, `${oldest}`);
  });

  test("retention never keeps more than its bytes, and the rest is deleted", async (logs) => {
    const test = await logs.open({ retention: { bytes: 1_000_000 } });
    for (let i = 0; i < 60; i++) {
      await test.log.append("p_a", [textEvent("".padEnd(50_000, "."))]);
      const { oldest, sequence } = (await test.log.head("p_a"))!;
      ok((sequence - oldest + 1) * 50_035 <= 1_000_000);
    }
    await until(() => test.log.pending.sweeps === 0);
    const { oldest, sequence } = (await test.log.head("p_a"))!;
    ok(sequence - oldest >= 14, "an eighth is trimmed at a time");
    const kept = Array.from({ length: sequence - oldest + 1 }, (_, i) => oldest + i);
    deepEqual(await storedSegments(test.kv, "p_a"), kept);
    const page = (await test.log.readAfter("p_a", 3, Infinity))!;
    deepEqual([page.after, page.missed, page.reason], [oldest - 1, oldest - 4, "evicted"]);
    equal(page.events.length, kept.length);
  });

  test("a failed sweep is reported, and the next one deletes its segments", async (logs) => {
    const test = await logs.open();
    for (let i = 0; i < 5; i++) await test.log.append("p_a", [textEvent("1")]);
    test.kv.script("next", () => Promise.reject(new Error("broken")));
    await test.log.clear("p_a");
    await until(() => test.log.pending.sweeps === 0);
    deepEqual(test.reports, ["Cannot sweep the log of a pipeline"]);
    deepEqual(await storedSegments(test.kv, "p_a"), [1, 2, 3, 4, 5]);
    deepEqual(await readTexts(test.log, "p_a"), []);
    const again = await logs.reopen(test);
    await again.log.append("p_a", [textEvent("6")]);
    await again.log.clear("p_a");
    await until(() => again.log.pending.sweeps === 0);
    deepEqual(await storedSegments(again.kv, "p_a"), []);
  });

  test("a sweep deletes any number of segments, at most 200 a commit", async (logs) => {
    const { log, kv } = await logs.open();
    for (let i = 1; i <= 450; i++) await log.append("p_a", [textEvent(`${i}`)]);
    const commits = kv.commits;
    await log.clear("p_a");
    await until(() => log.pending.sweeps === 0);
    deepEqual(await storedSegments(kv, "p_a"), []);
    equal(kv.commits - commits, 1 + 3);
  });

  test("clear() removes all events, while epoch and sequences go on", async (logs) => {
    const first = await logs.open();
    const { epoch } = await first.log.append("p_a", Array(7).fill(textEvent("old")));
    const head = (await first.log.clear("p_a"))!;
    deepEqual([head.epoch, head.sequence, head.oldest], [epoch, 7, 8]);
    deepEqual(await readTexts(first.log, "p_a"), []);
    const { log } = await logs.reopen(first);
    const page = (await log.readAfter("p_a", 2, Infinity))!;
    deepEqual(page, { epoch, sequence: 7, after: 7, missed: 5, reason: "cleared", events: [] });
    const receipt = await log.append("p_a", [textEvent("new")]);
    deepEqual(receipt, { epoch, first: 8, count: 1, replayed: false });
    const next = (await log.readAfter("p_a", 2, Infinity))!;
    deepEqual([next.after, next.missed, next.reason], [7, 5, "cleared"]);
    deepEqual(next.events.map(payloadText), ["new"]);
  });

  test("clear() is the reason of missing events until retention evicts others", async (logs) => {
    const { log, advanceUntil } = await logs.open({ retention: { events: 8, ms: 0 } });
    for (let i = 0; i < 3; i++) await log.append("p_a", [textEvent("old")]);
    await log.clear("p_a");
    for (let i = 0; i < 8; i++) await advanceUntil(log.append("p_a", [textEvent("new")]));
    equal((await log.readAfter("p_a", 0, Infinity))!.reason, "cleared");
    for (let i = 0; i < 8; i++) await log.append("p_a", [textEvent("new")]);
    const page = (await log.readAfter("p_a", 0, Infinity))!;
    equal(page.reason, "evicted");
    equal(page.missed, (await log.head("p_a"))!.oldest - 1);
  });

  test("clear() changes nothing if there are no events", async (logs) => {
    const { log, kv } = await logs.open();
    equal(await log.clear("p_a"), null);
    await log.ensureHead("p_a");
    equal(await log.clear("p_a"), null);
    await log.append("p_a", [textEvent("1")]);
    const head = await log.clear("p_a");
    await until(() => log.pending.sweeps === 0);
    const { commits } = kv;
    deepEqual(await log.clear("p_a"), head);
    await until(() => log.pending.sweeps === 0);
    equal(kv.commits, commits);
  });

  test("clear() during appends of two logs loses and repeats no later event", async (logs) => {
    const [a, b] = [await logs.open(), await logs.open()];
    const receipts: number[] = [];
    const work = Promise.all([
      ...[a, b].flatMap(({ log }, side) =>
        Array.from({ length: 5 }, async (_, i) => {
          for (let n = 0; n < 4; n++) {
            // With a key, because a clear may delete the token that proves a commit.
            const key = `${side}:${i}:${n}`;
            receipts.push((await log.append("p_a", [textEvent(key)], { key })).first);
          }
        })
      ),
      ...[a, b, a].map(({ log }) => log.clear("p_a")),
    ]);
    await advanceLogsUntil([a, b], work);
    deepEqual(receipts.toSorted((x, y) => x - y), Array.from({ length: 40 }, (_, i) => i + 1));
    const { sequence, oldest } = (await a.log.head("p_a"))!;
    equal(sequence, 40);
    equal((await readTexts(a.log, "p_a")).length, 40 - oldest + 1);
  });

  test("readAfter() returns null for a pipeline without publishers and subscribers", async (logs) => {
    const { log } = await logs.open();
    equal(await log.readAfter("p_a", 0, Infinity), null);
    equal(await log.head("p_a"), null);
  });

  test("readAfter() starts inside a segment and ends with the log", async (logs) => {
    const { log } = await logs.open();
    const { epoch } = await log.append("p_a", [1, 2, 3, 4].map((i) => textEvent(`${i}`)));
    await log.append("p_a", [textEvent("5")]);
    for (let after = 0; after <= 5; after++) {
      const { events, ...page } = (await log.readAfter("p_a", after, Infinity))!;
      deepEqual(page, { epoch, sequence: 5, after, missed: 0, reason: "evicted" });
      deepEqual(events.map(payloadText), ["1", "2", "3", "4", "5"].slice(after));
    }
  });

  test("readAfter() reads as many segments as reach its bytes, at least one", async (logs) => {
    const { log } = await logs.open();
    for (let i = 1; i <= 9; i++) await log.append("p_a", [textEvent("".padEnd(959, `${i}`))]);
    for (const [bytes, count] of [[1, 1], [1000, 1], [1001, 2], [3000, 3], [1e6, 9]] as const) {
      const page = (await log.readAfter("p_a", 0, bytes))!;
      deepEqual([page.events.length, page.sequence], [count, 9]);
    }
  });

  test("readAfter() follows hundreds of segments page by page", async (logs) => {
    const first = await logs.open();
    const texts = Array.from({ length: 300 }, (_, i) => `${i}`);
    for (const text of texts) await first.log.append("p_a", [textEvent(text)]);
    const { log } = await logs.reopen(first);
    deepEqual(await readTexts(log, "p_a"), texts);
    const read: string[] = [];
    while (read.length < 300) {
      const { events } = (await log.readAfter("p_a", read.length, 500))!;
      read.push(...events.map(payloadText));
    }
    deepEqual(read, texts);
  });

  test("ensureHead() creates an epoch once, which the first event keeps", async (logs) => {
    const first = await logs.open();
    const second = await logs.open();
    const heads = await advanceLogsUntil(
      [first, second],
      Promise.all(
        [first, second, first, second].map(({ log }) => log.ensureHead("p_a")),
      ),
    );
    equal(new Set(heads.map(({ epoch }) => epoch)).size, 1);
    const { log } = await logs.reopen(first);
    equal((await log.ensureHead("p_a")).epoch, heads[0]!.epoch);
    const receipt = await log.append("p_a", [textEvent("1")]);
    deepEqual([receipt.epoch, receipt.first], [heads[0]!.epoch, 1]);
    deepEqual(await log.ensureHead("p_a"), await log.head("p_a"));
  });

  test("ensureHead() stores nothing, and every log returns the same", async (logs) => {
    const [a, b] = [await logs.open(), await logs.open()];
    const before = await storedKeys(a.kv);
    const heads = await Promise.all([a, b].map(({ log }) => log.ensureHead("p_a")));
    logs.clock.advance(1000 * HOUR_MS);
    heads.push(await (await logs.reopen(b)).log.ensureHead("p_a"));
    for (const head of heads) deepEqual(head, { ...newHead(heads[0]!.epoch, 0) });
    equal(await a.log.head("p_a"), null);
    deepEqual(await storedKeys(a.kv), before);
    equal((await a.log.ensureHead("p_b")).epoch === heads[0]!.epoch, false);
  });

  test("ensureHead() renews a head without events that an older version stored", async (logs) => {
    const { log, kv } = await logs.open();
    const stored = newHead("AAECAwQFBgc", logs.clock.now());
    await kv.inner.atomic().set(headKey("p_a"), stored).commit();
    logs.clock.advance(36 * HOUR_MS - 1);
    deepEqual(await log.ensureHead("p_a"), stored);
    equal(kv.written.length, 0);
    logs.clock.advance(1);
    equal((await log.ensureHead("p_a")).epoch, stored.epoch);
    deepEqual(kv.written, [{ key: ["head", "p_a"], expireIn: 72 * HOUR_MS }]);
    await log.ensureHead("p_a");
    equal(kv.written.length, 1);
    equal((await log.append("p_a", [textEvent("1")])).epoch, stored.epoch);
  });

  test("ensureHead() does not change the head of a pipeline with events, however old", async (logs) => {
    const { log, kv } = await logs.open();
    await log.append("p_a", [textEvent("1")]);
    const { commits } = kv;
    logs.clock.advance(1000 * HOUR_MS);
    deepEqual(await log.ensureHead("p_a"), await log.head("p_a"));
    equal(kv.commits, commits);
  });
}
