import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { Attempt } from "../../lib/client/attempt.ts";
import { Transport } from "../../lib/client/transport.ts";
import {
  block,
  Collected,
  live,
  type ScriptedRequest,
  type ScriptedSubscription,
  startScripted,
} from "../support/clients/scripted_service.ts";
import { advanceUntil, flush, until } from "../support/wait.ts";

const MINUTE = 60_000;

const waitOf = ({ url }: ScriptedRequest) => url.searchParams.get("wait");

/** Opens a stream that is held back, answers the test poll, and returns the next poll. */
async function startPolling({ clock, service }: ScriptedSubscription): Promise<ScriptedRequest> {
  const stream = await service.next();
  equal(waitOf(stream), null);
  clock.advance(5000);
  equal(stream.signal.aborted, true);
  const test = await service.next();
  equal(waitOf(test), "0");
  test.end("retry: 100\n", block("orders", 1, "e-1"), live("e-1", 1));
  return await advanceUntil(clock, service.next(), 50);
}

Deno.test("subscribe() polls if a stream brings no byte for 5 seconds, and a poll is answered", async () => {
  const scripted = startScripted();
  const { clock, service, subscription, states } = scripted;
  const collected = new Collected(subscription);
  const poll = await startPolling(scripted);
  deepEqual([waitOf(poll), poll.lastEventId], ["25", "e-1"]);
  deepEqual(subscription.state, { name: "live", transport: "poll" });
  // A network that holds streams back shows nothing of a poll before its end.
  clock.advance(25_000);
  await flush();
  poll.end("retry: 100\n", live("e-1"));
  const next = await advanceUntil(clock, service.next(), 50);
  next.end("retry: 100\n", block("orders", 2, "e-2"), live("e-2", 1));
  const last = await advanceUntil(clock, service.next(), 50);
  deepEqual([waitOf(last), last.lastEventId], ["25", "e-2"]);
  last.end(
    "retry: 100\n",
    block("orders", 3, "e-3"),
    live("e-3"),
    block("runnel.end", { events: 3 }, "e-4"),
  );
  await until(() => collected.isOver);
  deepEqual(collected.events.map(({ type, id }) => `${type} ${id}`), [
    "event e-1",
    "live e-1",
    "event e-2",
    "event e-3",
    "end e-4",
  ]);
  deepEqual(states.map(({ name, transport }) => `${name} by ${transport}`), [
    "connecting by stream",
    "connecting by poll",
    "catching-up by poll",
    "live by poll",
    "ended by poll",
  ]);
  await flush();
  equal(clock.liveTimers, 0);
});

Deno.test("subscribe() polls if a stream stops before it is live, as behind a buffer", async () => {
  const { clock, service, subscription } = startScripted();
  const collected = new Collected(subscription);
  const stream = await service.next();
  stream.send(block("orders", 1, "e-1"), "event: orders\nda");
  await collected.until(1);
  clock.advance(5000);
  const test = await service.next();
  deepEqual([waitOf(test), test.lastEventId], ["0", "e-1"]);
  test.end(block("orders", 2, "e-2"), live("e-2"));
  await collected.until(3);
  deepEqual(collected.payloads, [1, 2]);
  subscription.close();
});

Deno.test("subscribe() does not poll while the history arrives, however long it takes", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  const stream = await service.next();
  for (let number = 1; number < 20; number++) {
    stream.send(block("orders", number, `e-${number}`));
    await flush();
    clock.advance(4500);
  }
  stream.send(live("e-19"));
  await until(() => subscription.state.name === "live");
  equal(service.untaken, 0);
  subscription.close();
});

Deno.test("subscribe() waits longer for a stream if a poll is as slow, as on a slow network", async () => {
  const { clock, service, subscription, states } = startScripted();
  void new Collected(subscription);
  const limits = [];
  for (let count = 0; count < 5; count++) {
    for (const wait of [null, "0"]) {
      const request = await advanceUntil(clock, service.next(), 500);
      equal(waitOf(request), wait);
      const begin = clock.now();
      while (!request.signal.aborted) clock.advance(1000);
      limits.push(clock.now() - begin);
      await flush();
    }
  }
  deepEqual(limits, [5, 5, 10, 10, 20, 20, 40, 40, 40, 40].map((seconds) => seconds * 1000));
  const stream = await advanceUntil(clock, service.next(), 1000);
  equal(waitOf(stream), null);
  stream.send(live("e-1"));
  await until(() => subscription.state.name === "live");
  equal(states.at(-1)!.transport, "stream");
  // Once it was live, the network is taken for a fast one again.
  stream.end();
  const next = await advanceUntil(clock, service.next(), 500);
  clock.advance(5000);
  equal(next.signal.aborted, true);
  subscription.close();
});

Deno.test("subscribe() polls if two streams in a row fall silent after their beginning", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  for (let count = 0; count < 2; count++) {
    const stream = await advanceUntil(clock, service.next(), 500);
    equal(waitOf(stream), null);
    stream.send(live("e-1"));
    await flush();
    // All of the beginning arrives at once: it shows nothing of what follows.
    stream.send(":keepalive\n");
    await flush();
    clock.advance(40_000);
    await flush();
  }
  equal(waitOf(await advanceUntil(clock, service.next(), 500)), "0");
  subscription.close();
});

Deno.test("subscribe() does not poll if a stream falls silent that has worked for a while", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  for (let count = 0; count < 4; count++) {
    const stream = await advanceUntil(clock, service.next(), 500);
    equal(waitOf(stream), null);
    stream.send(live("e-1"));
    await flush();
    clock.advance(15_000);
    stream.send(":keepalive\n");
    await flush();
    clock.advance(40_000);
    await flush();
  }
  subscription.close();
});

Deno.test("subscribe() does not poll because of a proxy that cuts streams after 10 seconds", async () => {
  const { clock, service, subscription } = startScripted();
  const collected = new Collected(subscription);
  for (let count = 1; count < 6; count++) {
    const stream = await advanceUntil(clock, service.next(), 500);
    equal(waitOf(stream), null);
    stream.send("retry: 2500\n", live(`e-${count - 1}`));
    await flush();
    clock.advance(6000);
    stream.send(block("orders", count, `e-${count}`));
    await flush();
    clock.advance(4000);
    if (count % 2 === 0) stream.end();
    else stream.fail();
    await flush();
  }
  deepEqual(collected.payloads, [1, 2, 3, 4, 5]);
  subscription.close();
});

Deno.test("subscribe() tries the stream again after 5 minutes, and then less often", async () => {
  const scripted = startScripted();
  const { clock, service, subscription } = scripted;
  void new Collected(subscription);
  let poll = await startPolling(scripted);
  const trials = [];
  let begin = clock.now();
  for (let count = 0; count < 2; count++) {
    while (waitOf(poll) === "25") {
      clock.advance(20_000);
      poll.end("retry: 100\n", live("e-1"));
      poll = await advanceUntil(clock, service.next(), 50);
    }
    equal(waitOf(poll), null);
    trials.push(Math.floor((clock.now() - begin) / MINUTE));
    clock.advance(5000);
    const test = await service.next();
    equal(waitOf(test), "0");
    test.end("retry: 100\n", live("e-1"));
    begin = clock.now();
    poll = await advanceUntil(clock, service.next(), 50);
  }
  deepEqual(trials, [5, 10]);
  subscription.close();
});

Deno.test("Transport.choose() tries the stream at least once an hour", () => {
  const transport = new Transport();
  const attempt = { wasLive: true, flowed: false, isStalled: false, isClean: true, ms: 10 };
  const stalled = { ...attempt, wasLive: false, isStalled: true, isClean: false };
  const trials = [];
  let now = 0;
  for (let count = 0; count < 7; count++) {
    equal(transport.ended(stalled as Attempt, now), true);
    equal(transport.ended(attempt as Attempt, now), false);
    const begin = now;
    do {
      now += MINUTE;
      transport.choose(now);
    } while (transport.name === "poll");
    trials.push((now - begin) / MINUTE);
  }
  deepEqual(trials, [5, 10, 20, 40, 60, 60, 60]);
});

Deno.test("subscribe() goes back to polls after one stream that falls silent", async () => {
  const scripted = startScripted();
  const { clock, service, subscription } = scripted;
  const collected = new Collected(subscription);
  const poll = await startPolling(scripted);
  clock.advance(5 * MINUTE);
  // The wall clock of the watchdog: that poll was cut meanwhile.
  equal(poll.signal.aborted, true);
  const stream = await advanceUntil(clock, service.next(), 500);
  equal(waitOf(stream), null);
  stream.send("retry: 3000\n", live("e-1"));
  await until(() =>
    subscription.state.transport === "stream" && subscription.state.name === "live"
  );
  clock.advance(40_000);
  equal(waitOf(await service.next()), "0");
  deepEqual(collected.events.map(({ type }) => type), ["event", "live", "live"]);
  subscription.close();
});

Deno.test("subscribe() stays with a stream that works again", async () => {
  const scripted = startScripted();
  const { clock, service, subscription } = scripted;
  void new Collected(subscription);
  const poll = await startPolling(scripted);
  poll.end("retry: 100\n", live("e-1"));
  globalThis.dispatchEvent(new Event("online"));
  const stream = await advanceUntil(clock, service.next(), 50);
  equal(waitOf(stream), null);
  stream.send(live("e-1"));
  await flush();
  clock.advance(15_000);
  stream.send(":keepalive\n");
  await flush();
  stream.fail();
  const next = await advanceUntil(clock, service.next(), 500);
  next.send(live("e-1"));
  await flush();
  clock.advance(40_000);
  // It has flowed since, so one silence is no sign.
  equal(waitOf(await advanceUntil(clock, service.next(), 500)), null);
  subscription.close();
});

Deno.test("subscribe() polls for a shorter time if a proxy ends long requests", async () => {
  const scripted = startScripted();
  const { clock, service, subscription, states } = scripted;
  const collected = new Collected(subscription);
  let poll = await startPolling(scripted);
  const waits = [];
  for (const answer of [new Response(null, { status: 504 }), null, null]) {
    waits.push(waitOf(poll));
    // A limit of 10 seconds, and then one of 4.
    clock.advance(waits.length < 2 ? 10_000 : 4000);
    if (answer) poll.answer(answer);
    else poll.fail();
    await flush();
    poll = await service.next();
  }
  waits.push(waitOf(poll));
  deepEqual(waits, ["25", "8", "3", "2"]);
  poll.end("retry: 100\n", block("orders", 2, "e-2"), live("e-2"));
  await collected.until(3);
  deepEqual(collected.payloads, [1, 2]);
  // All this is no failure.
  deepEqual(states.filter(({ name }) => name === "waiting"), []);
  subscription.close();
});

Deno.test("Transport.ended() never shortens a poll to a test", () => {
  const transport = new Transport();
  const attempt = { wasLive: true, flowed: false, isStalled: false, isClean: true, ms: 10 };
  const cut = { ...attempt, wasLive: false, isClean: false, ms: 2000 };
  transport.ended({ ...cut, isStalled: true } as Attempt, 0);
  transport.ended(attempt as Attempt, 0);
  equal(transport.waitSeconds, 25);
  equal(transport.ended(cut as Attempt, 0), true);
  equal(transport.waitSeconds, 1);
  equal(transport.ended(cut as Attempt, 0), false);
  equal(transport.waitSeconds, 1);
});

Deno.test("subscribe() does not take the pace of polls for that of streams", async () => {
  const scripted = startScripted();
  const { clock, service, subscription, states } = scripted;
  void new Collected(subscription);
  (await startPolling(scripted)).end("retry: 100\n", live("e-1"));
  globalThis.dispatchEvent(new Event("online"));
  (await advanceUntil(clock, service.next(), 50)).end("", live("e-1"));
  await until(() => states.at(-1)!.name === "waiting");
  const state = states.at(-1)!;
  deepEqual([state.name === "waiting" && state.ms, state.transport], [2000, "stream"]);
  subscription.close();
});

Deno.test("subscribe() backs off if a poll fails at once", async () => {
  const scripted = startScripted();
  const { clock, service, subscription, states } = scripted;
  void new Collected(subscription);
  (await startPolling(scripted)).fail();
  await until(() => states.at(-1)!.name === "waiting");
  const next = await advanceUntil(clock, service.next(), 50);
  equal(waitOf(next), "25");
  next.end("retry: 100\n", live("e-1"));
  await until(() => states.at(-1)!.name === "live");
  subscription.close();
});

Deno.test("subscribe() goes back to the stream, and backs off, if the test poll fails", async () => {
  const { clock, service, subscription, states } = startScripted();
  void new Collected(subscription);
  const first = await service.next();
  clock.advance(5000);
  equal(first.signal.aborted, true);
  (await service.next()).answer(new Response(null, { status: 503 }));
  await until(() => states.at(-1)!.name === "waiting");
  const state = states.at(-1)!;
  deepEqual([state.name === "waiting" && state.ms, state.transport], [2000, "stream"]);
  equal(waitOf(await advanceUntil(clock, service.next(), 500)), null);
  subscription.close();
});

Deno.test("subscribe() polls several pipelines, of which some have ended before", async () => {
  const { clock, service, subscription } = startScripted({ pipelines: ["p_a", "p_b"] });
  const collected = new Collected(subscription);
  const marker = (pipeline: string, id: string) =>
    block("runnel.live", { pipeline, replayed: 0 }, id);
  await service.next();
  clock.advance(5000);
  const test = await service.next();
  test.end("retry: 100\n", marker("p_b", "a-9.b-1"));
  const poll = await advanceUntil(clock, service.next(), 50);
  deepEqual(subscription.state, { name: "live", transport: "poll" });
  poll.end("retry: 100\n", block("p_b/x", 1, "a-9.b-2"), marker("p_b", "a-9.b-2"));
  await collected.until(2);
  deepEqual(collected.events.map(({ type, pipeline }) => `${type} ${pipeline}`), [
    "live p_b",
    "event p_b",
  ]);
  subscription.close();
});

Deno.test("subscribe() shows the marker again after a gap between two polls", async () => {
  const scripted = startScripted();
  const { subscription } = scripted;
  const collected = new Collected(subscription);
  const poll = await startPolling(scripted);
  poll.end(block("runnel.gap", { missed: 1, reason: "cleared" }, "e-3"), live("e-3"));
  await collected.until(4);
  deepEqual(collected.events.map(({ type }) => type), ["event", "live", "gap", "live"]);
  subscription.close();
});
