import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { readConfig } from "../../lib/config/config.ts";
import { RunnelError } from "../../lib/base/errors.ts";
import type { TicketStore } from "../../lib/access/ticket_store.ts";
import type { Log, LogListener } from "../../lib/log/event_log.ts";
import type { AnnouncedHead } from "../../lib/log/head_announcer.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { reachStores, serveStores } from "../../lib/service/remote_log.ts";
import { createServiceOn } from "../../lib/service/service.ts";
import type { Stores } from "../../lib/service/stores.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { passThrough, pause } from "../support/fakes/kv.ts";
import { createTestLog, readTexts, type TestLog, textEvent, TIMEOUT_MS } from "../support/log.ts";
import { flush, until } from "../support/wait.ts";

const MiB = 1024 * 1024;

/** Grace period for the broadcast of a commit, in milliseconds. */
const WORD_MS = 20;

interface Reached extends Disposable {
  remote: Log;
  tickets: TicketStore;
  clock: FakeClock;
  /** Messages to the operator of the isolate that reaches them. */
  reports: string[];
  /** Passes its calls on to the listener of `remote`. */
  listener: LogListener;
  port: MessagePort;
}

/** Reaches a log as another isolate does; without one, its owner hangs. */
function reach(stores: Stores | null, maxWaitingBytes = MiB): Reached {
  const clock = new FakeClock();
  const reports: string[] = [];
  const { port1, port2 } = new MessageChannel();
  const listener = stores ? serveStores(port1, stores) : { onChange() {}, onHeads() {} };
  const { log: remote, tickets } = reachStores(port2, {
    runtime: { clock, report: (message) => reports.push(message) },
    timeoutMs: TIMEOUT_MS,
    maxWaitingBytes,
  });
  return {
    remote,
    tickets,
    clock,
    reports,
    listener,
    port: port1,
    [Symbol.dispose]() {
      remote.close();
      port1.close();
    },
  };
}

/** Stores with a log of which one method fails. */
function failing(method: keyof Log, error: Error): Stores {
  return { log: { [method]: () => Promise.reject(error) } } as unknown as Stores;
}

Deno.test("Remote log.scanChannels() is the owner's", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  await test.log.append("p_a", ["a", "b", "a"].map((channel) => textEvent("1", channel)));
  const scan = await there.remote.scanChannels("p_a");
  deepEqual(scan, await test.log.scanChannels("p_a"));
  deepEqual(scan!.channels, Uint32Array.of(0, 1, 0));
});

Deno.test("Remote log.findSince() is the owner's", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  await test.log.append("p_a", ["a", "b", "a"].map((channel) => textEvent("1", channel)));
  const place = await there.remote.findSince("p_a", 1);
  deepEqual(place, await test.log.findSince("p_a", 1));
  equal(place!.start, 0);
});

Deno.test("Remote log.append() and readAfter() are the owner's, to the byte", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  const payload = new Uint8Array([0, 10, 255]);
  const receipt = await there.remote.append("p_a", [{ channel: "zwölf €", payload }]);
  deepEqual([receipt.first, receipt.count, receipt.replayed], [1, 1, false]);
  deepEqual(await there.remote.readAfter("p_a", 0, Infinity), {
    ...await test.log.readAfter("p_a", 0, Infinity),
  });
  deepEqual((await there.remote.readAfter("p_a", 0, Infinity))!.events[0]!.payload, payload);
  equal(await there.remote.readAfter("p_none", 0, Infinity), null);
});

Deno.test("Remote log.append() keeps the keys of publishers apart", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  for (const publisher of [undefined, "a", "b"]) {
    const { replayed } = await there.remote.append("p_a", [textEvent("1")], {
      key: "key",
      publisher,
    });
    equal(replayed, false);
  }
});

Deno.test("Remote log.append() joins the requests of all isolates with one key", async () => {
  await using test = await createTestLog();
  using one = reach(test);
  using other = reach(test);
  const append = ({ remote }: Reached) => remote.append("p_a", [textEvent("1")], { key: "key" });
  const receipts = await Promise.all([one, other, one, other].map(append));
  deepEqual(receipts.map(({ first }) => first), [1, 1, 1, 1]);
  equal(receipts.filter(({ replayed }) => !replayed).length, 1);
  deepEqual(await readTexts(test.log, "p_a"), ["1"]);
});

Deno.test("Remote log.append() and readAppend() pass on the parts of an append, and the end", async () => {
  await using test = await createTestLog();
  using one = reach(test);
  using other = reach(test);
  const append = (
    { remote }: Reached,
    owner: string,
    before: number,
    isFirst = false,
    end = false,
  ) =>
    remote.append("p_a", [textEvent(`${before + 1}`)], {
      key: "key",
      publisher: "a",
      end,
      part: { owner, before, isFirst },
    });
  equal((await append(one, "one", 0, true)).first, 1);
  const { stands } = await append(other, "other", 0, true);
  equal(stands, 1);
  equal((await append(other, "other", 1, true)).first, 2);
  await rejects(append(one, "one", 1), { type: "append-superseded" });
  equal((await append(other, "other", 2, false, true)).end, 4);
  await rejects(append(other, "other", 3), { type: "run-ended" });
  const standing = await one.remote.readAppend("p_a", "key", "a");
  deepEqual(standing, await test.log.readAppend("p_a", "key", "a"));
  deepEqual([standing!.count, standing!.last.sequence, standing!.end], [3, 3, 4]);
  equal(await one.remote.readAppend("p_a", "key"), null);
  deepEqual(await readTexts(test.log, "p_a"), ["1", "2", "3", '{"events":3}']);
});

Deno.test("Remote log.open(), head(), clear() and ping() are the owner's", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  equal(await there.remote.head("p_a"), null);
  equal(await there.remote.clear("p_a"), null);
  const { epoch } = await there.remote.ensureHead("p_a");
  await there.remote.append("p_a", [textEvent("1")]);
  equal((await there.remote.clear("p_a"))!.oldest, 2);
  const head = await there.remote.head("p_a");
  deepEqual(head, await test.log.head("p_a"));
  equal(head!.epoch, epoch);
  await there.remote.ping(1000);
});

Deno.test("Remote tickets are the owner's", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  const from = { epoch: "AAECAwQFBgc", sequence: 0 };
  const session = { generation: 1, openedAt: 0, from };
  const ticket = { pipeline: "p_a", channels: ["a"], spendBy: 5, endsAt: 9, session };
  const keys = [{ hash: "h", pipeline: "p_a" }];
  const writes = [{ hash: "h", ticket, versionstamp: null, expireIn: 1000 }];
  deepEqual(await there.tickets.read(keys), [null]);
  ok(await there.tickets.write(writes));
  equal(await there.tickets.write(writes), null);
  deepEqual(await there.tickets.read(keys), await test.tickets.read(keys));
  deepEqual(await there.tickets.generations(["none", "h"]), [null, 1]);
  await there.tickets.revoke("p_a", "r", 1000);
  deepEqual(await there.tickets.revocations(["p_a", "p_b"]), ["r", null]);
});

Deno.test("Remote log rejects with the type, message and cause of the owner's error", async () => {
  const cause = new TypeError("database is locked");
  using there = reach(failing("head", new RunnelError("overloaded", "Too much", { cause })));
  await rejects(there.remote.head("p_a"), (error) => {
    deepEqual(
      error instanceof RunnelError && [error.type, error.message, error.cause],
      ["overloaded", "Too much", "TypeError: database is locked"],
    );
    return true;
  });
});

Deno.test("Remote log rejects with an error without a type if the owner's is unexpected", async () => {
  using there = reach(failing("append", new RangeError("a bug")));
  await rejects(there.remote.append("p_a", [textEvent("1")]), {
    name: "Error",
    message: "RangeError: a bug",
  });
});

Deno.test("Remote log and tickets do not wait for an owner that hangs", async () => {
  using there = reach(null);
  const calls = [
    rejects(there.remote.append("p_a", [textEvent("1")]), { type: "outcome-unknown" }),
    rejects(there.remote.head("p_a"), { type: "log-unavailable" }),
    rejects(there.remote.readAfter("p_a", 0, 1), { type: "log-unavailable" }),
    rejects(there.tickets.read([{ hash: "h", pipeline: "p_a" }]), { type: "log-unavailable" }),
    rejects(there.remote.ping(1000), { type: "log-unavailable" }),
  ];
  there.clock.advance(1000);
  await calls.pop();
  equal(there.clock.liveTimers, 4);
  there.clock.advance(2 * TIMEOUT_MS);
  await Promise.all(calls);
  equal(there.clock.liveTimers, 0);
});

Deno.test("Remote log ignores an answer that comes after its deadline", async () => {
  using there = reach(null);
  const late = rejects(there.remote.ping(10));
  const asked = new Promise((resolve) => there.port.onmessage = ({ data }) => resolve(data.id));
  there.clock.advance(10);
  await late;
  const id = await asked;
  there.port.onmessage = ({ data }) => there.port.postMessage({ id: data.id, value: null });
  there.port.postMessage({ id, value: "late" });
  equal(await there.remote.head("p_a"), null);
});

Deno.test("Remote log.append() refuses events beyond its backlog if the owner hangs", async () => {
  using there = reach(null, MiB);
  const events = [{ channel: "events", payload: new Uint8Array(700 * 1024) }];
  const waits = rejects(there.remote.append("p_a", events), { type: "outcome-unknown" });
  await rejects(there.remote.append("p_a", events), { type: "overloaded" });
  there.clock.advance(10 * TIMEOUT_MS);
  await waits;
  equal(there.remote.pending.waitingBytes, 0);
});

Deno.test("Remote log.close() ends calls in flight and refuses later ones", async () => {
  using there = reach(null);
  const calls = [
    rejects(there.remote.append("p_a", [textEvent("1")]), { type: "outcome-unknown" }),
    rejects(there.remote.head("p_a"), { type: "log-unavailable" }),
  ];
  await there.remote.close();
  await Promise.all(calls);
  await rejects(there.remote.head("p_a"), { type: "draining" });
});

Deno.test("serveStores() passes on clears if there is no broadcast", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  await test.log.append("p_a", [textEvent("1")]);
  test.listening[Symbol.dispose]();
  test.log.listen(there.listener);
  const heard = new Promise((onChange) => there.remote.listen({ onChange, onHeads() {} }));
  const { epoch } = (await there.remote.clear("p_a"))!;
  deepEqual(await heard, { pipeline: "p_a", epoch, oldest: 2 });
});

Deno.test("serveStores() passes on commits if there is no broadcast", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  const heard = new Promise((onChange) => there.remote.listen({ onChange, onHeads() {} }));
  const commit = {
    pipeline: "p_a",
    epoch: "AAECAwQFBgc",
    cleared: 0,
    segments: [new Uint8Array([1])],
  };
  there.listener.onChange(commit);
  deepEqual(await heard, commit);
});

Deno.test("Remote log.listen() refuses a second listener, and news without one are reported", async () => {
  using there = reach(null);
  there.port.postMessage({ news: { heads: [] } });
  await until(() => there.reports.length > 0);
  deepEqual(there.reports, ["Cannot deliver news of the log"]);
  const listener = { onChange() {}, onHeads() {} };
  using _listening = there.remote.listen(listener);
  throws(() => there.remote.listen(listener), /Cannot listen to the log/);
  there.port.postMessage({ news: { heads: [] } });
  await flush();
  equal(there.reports.length, 1);
});

/** A service in the other isolate, with a stream that has come to the news. */
async function listenThere({ remote, tickets, clock }: ReturnType<typeof reach>) {
  const { hub } = createServiceOn({ log: remote, tickets, metrics: createMetrics() }, {
    config: readConfig({}),
    runtime: { clock },
  });
  const stream = new StreamReader(await hub.subscribe("p_a"));
  await stream.until("runnel.live");
  return { hub, stream };
}

Deno.test("Hub.publish() on a remote log reads the commit if its broadcast is lost", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  const { clock } = there;
  const { hub, stream } = await listenThere(there);
  await hub.publish("p_a", [textEvent("1")]);
  const reads = test.kv.calls.get;
  clock.advance(WORD_MS);
  equal((await stream.event())!.data, "1");
  ok(test.kv.calls.get > reads);
  await stream.cancel();
});

Deno.test("Hub.publish() on a remote log reads nothing if the broadcast arrives", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  const { clock } = there;
  const { hub, stream } = await listenThere(there);
  await hub.publish("p_a", [textEvent("1")]);
  there.listener.onChange(test.commits[0]!);
  equal((await stream.event())!.data, "1");
  const reads = test.kv.calls.get;
  clock.advance(WORD_MS);
  await flush();
  equal(test.kv.calls.get, reads);
  await stream.cancel();
});

Deno.test("Hub.publish() on a remote log is history for subscribers after its answer", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  await test.log.append("p_a", [textEvent("1")]);
  const { hub, stream: earlier } = await listenThere(there);
  await hub.publish("p_a", [textEvent("2")]);
  const stream = new StreamReader(await hub.subscribe("p_a"));
  const told = await stream.until("runnel.live");
  deepEqual(told.map(({ data }) => data), ["1", "2", '{"replayed":2}']);
  await earlier.cancel();
  await stream.cancel();
  there.clock.advance(WORD_MS);
});

/** The head of a pipeline as its owner announces it. */
async function announced({ log }: TestLog): Promise<AnnouncedHead> {
  const { epoch, sequence, cleared } = (await log.heads(["p_a"]))[0]!;
  return { pipeline: "p_a", epoch, sequence, cleared };
}

Deno.test("serveStores() passes on announced heads, which bring an event whose broadcast was lost", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  const { hub, stream } = await listenThere(there);
  await test.log.append("p_a", [textEvent("1")]);
  there.listener.onHeads([await announced(test)]);
  equal((await stream.event())!.data, "1");
  deepEqual(hub.repairs, { gap: 0, announcement: 1, watch: 0, reconcile: 0 });
  await stream.cancel();
});

Deno.test("serveStores() passes on announced heads, which bring an event written during a repair", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  const { stream } = await listenThere(there);
  await test.log.append("p_a", [textEvent("1")]);
  await test.log.append("p_a", [textEvent("2")]);
  const [head, list] = [pause("answer"), pause("answer")];
  test.kv.script("get", head.fault);
  test.kv.script("next", passThrough, passThrough, list.fault);
  // The first broadcast was lost, so the log is read.
  there.listener.onChange(test.commits[1]!);
  await head.reached;
  head.release();
  await list.reached;
  await test.log.append("p_a", [textEvent("3")]);
  there.listener.onHeads([await announced(test)]);
  await flush();
  list.release();
  deepEqual((await stream.events(3)).map(({ data }) => data), ["1", "2", "3"]);
  await stream.cancel();
});

Deno.test("serveStores() passes on announced heads, which tell of a clear whose broadcast was lost", async () => {
  await using test = await createTestLog();
  using there = reach(test);
  await test.log.append("p_a", [textEvent("1")]);
  const { hub, stream } = await listenThere(there);
  await test.log.clear("p_a");
  there.listener.onHeads([await announced(test)]);
  await flush();
  const fresh = new StreamReader(await hub.subscribe("p_a"));
  deepEqual((await fresh.until("runnel.live")).map(({ data }) => data), ['{"replayed":0}']);
  await stream.cancel();
  await fresh.cancel();
});
