/**
 * Streams of several pipelines.
 *
 * @module
 */

import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import type { Subscription } from "../../lib/hub/subscription.ts";
import { joinEventIds, parseEventId, splitEventIds } from "../../lib/protocol/event.ts";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { type ReceivedEvent, StreamReader } from "../support/clients/stream_reader.ts";
import { describeEvent, jsonEvent, UNKNOWN_ID } from "../support/events.ts";
import { fail, passThrough, pause } from "../support/fakes/kv.ts";
import { assertIdle, startService, type TestService } from "../support/service.ts";
import { advanceUntil, flush } from "../support/wait.ts";

const ALL = ["p_a", "p_b", "p_c"];

const RUN_ENDED = { type: "run-ended" };
const TYPE = (type: string) => ({ type });

/** Opens a stream of several pipelines. */
async function open(
  { hub }: TestService,
  subscription: Subscription = {},
  pipelines: readonly string[] = ALL,
): Promise<StreamReader> {
  return new StreamReader(await hub.subscribe(pipelines, subscription));
}

/** Returns an event as `type value`, and a control event with its data. */
function describe(event: ReceivedEvent): string {
  const value = describeEvent(event);
  if (!Array.isArray(value)) return `${event.type} ${value}`;
  const { pipeline, ...data } = value[1];
  return [event.type, pipeline, ...Object.values(data)].join(" ");
}

/** Returns the next events of a stream, described. */
async function read(stream: StreamReader, count: number): Promise<string[]> {
  return (await stream.events(count)).map(describe);
}

/** Returns the events of a stream up to the last live marker. */
async function readReplays(stream: StreamReader, pipelines = ALL.length): Promise<ReceivedEvent[]> {
  const events: ReceivedEvent[] = [];
  for (let i = 0; i < pipelines; i++) events.push(...await stream.until("runnel.live"));
  return events;
}

/** Returns the events of each pipeline, in the order of their arrival. */
function byPipeline(events: readonly ReceivedEvent[]): Record<string, unknown[]> {
  const all: Record<string, unknown[]> = {};
  for (const event of events) {
    const value = describeEvent(event);
    const isControl = event.type.startsWith("runnel.");
    const pipeline = isControl
      ? (value as [string, { pipeline: string }])[1].pipeline
      : event.type.split("/")[0]!;
    (all[pipeline] ??= []).push(isControl ? describe(event) : value);
  }
  return all;
}

/** Publishes numbers to a pipeline, in one request. */
async function publish(
  { hub }: TestService,
  pipeline: string,
  ...values: unknown[]
): Promise<string> {
  const { epoch, first } = await hub.publish(pipeline, values.map(jsonEvent));
  return `${epoch}-${first + values.length - 1}`;
}

Deno.test("A joined stream has the histories of all pipelines, and then each new event", async () => {
  await using service = await startService();
  await publish(service, "p_a", 1, 2);
  await publish(service, "p_c", 3);
  const stream = await open(service);
  deepEqual(byPipeline(await readReplays(stream)), {
    p_a: [1, 2, "runnel.live p_a 2"],
    p_b: ["runnel.live p_b 0"],
    p_c: [3, "runnel.live p_c 1"],
  });
  await publish(service, "p_b", 4);
  await publish(service, "p_a", 5);
  // Between pipelines there is no order.
  deepEqual((await read(stream, 2)).sort(), ["p_a/events 5", "p_b/events 4"]);
  await stream.cancel();
  await assertIdle(service);
});

Deno.test("A joined stream writes an event with the IDs of all pipelines, in their order", async () => {
  await using service = await startService();
  const a = await publish(service, "p_a", 1);
  const stream = await open(service, { history: rangeOfNewest(0) });
  await readReplays(stream);
  const b = await publish(service, "p_b", "x");
  const [event] = await stream.events(1);
  const c = splitEventIds(event!.id!)[2]!;
  equal(event!.id, joinEventIds([a, b, c]));
  equal(parseEventId(c)?.sequence, 0);
  ok(stream.text.endsWith(`event: p_b/events\ndata: "x"\nid: ${a}.${b}.${c}\n\n`));
  await stream.cancel();
});

Deno.test("Joined streams at one URL get the very same bytes once they are caught up", async () => {
  await using service = await startService();
  for (const id of ALL) await publish(service, id, 1, 2);
  const bodies = [];
  for (let i = 0; i < 3; i++) bodies.push(await service.hub.subscribe(ALL));
  // Of another order, it has other IDs.
  const other = await open(service, {}, ALL.toReversed());
  await readReplays(other);
  const readers = bodies.map((body) => body.getReader());
  const read = async () => {
    const chunks = await Promise.all(readers.map((reader) => reader.read()));
    return chunks.map(({ value }) => value!);
  };
  // The reconnection time of each, and the replay of each pipeline.
  await read();
  for (const _ of ALL) {
    const [replay, ...others] = await read();
    ok(others.every((chunk) => chunk === replay), "replays");
  }
  for (const pipeline of [...ALL, "p_a"]) {
    const chunks = read();
    await publish(service, pipeline, "x", "y");
    const [news, ...others] = await chunks;
    ok(others.every((chunk) => chunk === news), `news of ${pipeline}`);
  }
  for (const reader of readers) await reader.cancel();
  await other.cancel();
});

Deno.test("A joined stream of one pipeline names it, too", async () => {
  await using service = await startService();
  const id = await publish(service, "p_a", 1);
  const stream = await open(service, {}, ["p_a"]);
  await stream.until("runnel.live");
  equal(
    stream.text,
    `retry: 3000\nevent: p_a/events\ndata: 1\nid: ${id}\n\n` +
      `event: runnel.live\ndata: {"pipeline":"p_a","replayed":1}\nid: ${id}\n\n`,
  );
  await stream.cancel();
});

Deno.test("A client that is cut off at any byte comes back for the rest of each pipeline, once", async () => {
  await using service = await startService();
  for (let i = 1; i <= 3; i++) for (const id of ALL) await publish(service, id, `${id} ${i}`);
  const whole = await open(service);
  await readReplays(whole);
  await whole.cancel();
  const bytes = new TextEncoder().encode(whole.text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const before = new StreamReader(new Response(bytes.slice(0, cut)));
    const events: ReceivedEvent[] = [];
    for (let event; (event = await before.event());) events.push(event);
    const lastEventId = events.at(-1)?.id;
    const stream = await open(service, { lastEventId });
    events.push(...await readReplays(stream));
    await stream.cancel();
    const values = events.filter(({ type }) => !type.startsWith("runnel.")).map(describeEvent);
    deepEqual(
      values.toSorted(),
      ALL.flatMap((id) => [1, 2, 3].map((i) => `${id} ${i}`)),
      `cut after ${cut} bytes`,
    );
  }
});

Deno.test("A joined stream resumes after the IDs in another order, and after single ones", async () => {
  await using service = await startService();
  const ids: string[] = [];
  for (const id of ALL) ids.push(await publish(service, id, 1));
  for (const id of ALL) await publish(service, id, 2);
  for (const order of [[2, 0, 1], [1, 2, 0], [0, 1, 2]]) {
    const lastEventId = joinEventIds(order.map((index) => ids[index]!));
    const stream = await open(service, { lastEventId });
    deepEqual(byPipeline(await readReplays(stream)), {
      p_a: [2, "runnel.live p_a 1"],
      p_b: [2, "runnel.live p_b 1"],
      p_c: [2, "runnel.live p_c 1"],
    });
    await stream.cancel();
  }
});

Deno.test("A pipeline that is new in the URL begins with its history, the others resume", async () => {
  await using service = await startService();
  const [a, b] = [await publish(service, "p_a", 1), await publish(service, "p_b", 1)];
  await publish(service, "p_a", 2);
  await publish(service, "p_c", 1, 2);
  const stream = await open(service, { lastEventId: joinEventIds([a, b]) });
  deepEqual(byPipeline(await readReplays(stream)), {
    p_a: [2, "runnel.live p_a 1"],
    p_b: ["runnel.live p_b 0"],
    p_c: [1, 2, "runnel.live p_c 2"],
  });
  await stream.cancel();
});

Deno.test("A pipeline whose log was replaced gets a gap and its history, the others resume", async () => {
  await using service = await startService();
  const ids: string[] = [];
  for (const id of ALL) ids.push(await publish(service, id, 1));
  await advanceUntil(service.clock, service.hub.delete("p_b"));
  await advanceUntil(service.clock, publish(service, "p_b", 7));
  await publish(service, "p_c", 2);
  const stream = await open(service, { lastEventId: joinEventIds(ids) });
  deepEqual(byPipeline(await readReplays(stream)), {
    p_a: ["runnel.live p_a 0"],
    p_b: ["runnel.gap p_b  unknown", 7, "runnel.live p_b 1"],
    p_c: [2, "runnel.live p_c 1"],
  });
  await stream.cancel();
});

Deno.test("No ID of a joined stream passes over a gap that the client was not told of", async () => {
  await using service = await startService();
  const ids: string[] = [];
  for (const id of ALL) ids.push(await publish(service, id, 1));
  for (const id of ALL) {
    await advanceUntil(service.clock, service.hub.delete(id));
    await advanceUntil(service.clock, publish(service, id, 7));
  }
  let lastEventId = joinEventIds(ids);
  const gaps: string[] = [];
  // The connection breaks after one event, then after two, and so on.
  for (let count = 1; count <= 4; count++) {
    const stream = await open(service, { lastEventId });
    const events = await stream.events(count);
    await stream.cancel();
    const found = events.filter(({ type }) => type === "runnel.gap");
    gaps.push(...found.map((event) => describe(event).split(" ")[1]!));
    lastEventId = events.at(-1)!.id!;
  }
  deepEqual(gaps.sort(), ALL);
});

Deno.test("An ID of no pipeline of the URL opens nothing, and is answered by gaps", async () => {
  await using service = await startService();
  await publish(service, "p_a", 1);
  const secret = await publish(service, "p_x", "secret");
  for (const lastEventId of [secret, UNKNOWN_ID, "", "x", "..", `${secret}.`, "-".repeat(5000)]) {
    const stream = await open(service, { lastEventId }, ["p_a", "p_b"]);
    deepEqual(byPipeline(await readReplays(stream, 2)), {
      p_a: ["runnel.gap p_a  unknown", 1, "runnel.live p_a 1"],
      p_b: ["runnel.gap p_b  unknown", "runnel.live p_b 0"],
    }, lastEventId);
    await stream.cancel();
  }
});

Deno.test("An ID with several positions of a pipeline resumes after the oldest", async () => {
  await using service = await startService();
  const first = await publish(service, "p_a", 1);
  const second = await publish(service, "p_a", 2);
  const stream = await open(service, { lastEventId: joinEventIds([second, first]) }, ["p_a"]);
  deepEqual(byPipeline(await readReplays(stream, 1)), { p_a: [2, "runnel.live p_a 1"] });
  await stream.cancel();
});

Deno.test("An ID with more parts than a stream has pipelines is of no log", async () => {
  await using service = await startService();
  const id = await publish(service, "p_a", 1);
  await publish(service, "p_a", 2);
  const resume = async (parts: number) => {
    const lastEventId = joinEventIds(Array.from({ length: parts }, () => id));
    const stream = await open(service, { lastEventId }, ["p_a"]);
    const events = byPipeline(await readReplays(stream, 1));
    await stream.cancel();
    return events;
  };
  deepEqual(await resume(10), { p_a: [2, "runnel.live p_a 1"] });
  deepEqual(await resume(11), { p_a: ["runnel.gap p_a  unknown", 1, 2, "runnel.live p_a 2"] });
});

Deno.test("A joined stream filters each pipeline, and tells the position that it passed over", async () => {
  await using service = await startService();
  const stream = await open(service, { channels: ["rare"] });
  await readReplays(stream);
  await publish(service, "p_a", 1);
  const last = await publish(service, "p_c", 2);
  const next = stream.next();
  await flush();
  service.clock.advance(15_000);
  deepEqual(await next, { kind: "comment", text: "keepalive" });
  await flush();
  ok(stream.text.includes(`.${last}\n\n`), stream.text);
  const id = /id: (.*)\n\n$/.exec(stream.text)![1]!;
  deepEqual(splitEventIds(id).map((part) => parseEventId(part)!.sequence), [1, 0, 1]);
  await stream.cancel();
});

Deno.test("A joined stream tells the end of each run, and closes after the last", async () => {
  await using service = await startService();
  await publish(service, "p_a", 1);
  const stream = await open(service, {}, ["p_a", "p_b"]);
  await readReplays(stream, 2);
  await service.hub.publish("p_a", [jsonEvent(2)], { end: true });
  deepEqual(await read(stream, 2), ["p_a/events 2", "runnel.end p_a 2"]);
  await publish(service, "p_b", 3);
  deepEqual(await read(stream, 1), ["p_b/events 3"]);
  await service.hub.publish("p_b", [], { end: true });
  const end = await stream.event();
  equal(describe(end!), "runnel.end p_b 1");
  equal(await stream.event(), null);
  await rejects(service.hub.subscribe(["p_a", "p_b"], { lastEventId: end!.id }), RUN_ENDED);
  await assertIdle(service);
});

Deno.test("A client that has the end of one run of several gets the rest alone", async () => {
  await using service = await startService();
  const a = await publish(service, "p_a", 1);
  const b = await publish(service, "p_b", 1);
  const { epoch, end } = await service.hub.publish("p_a", [], { end: true });
  await publish(service, "p_b", 2);
  const stream = await open(service, { lastEventId: joinEventIds([`${epoch}-${end}`, b]) }, [
    "p_a",
    "p_b",
  ]);
  deepEqual(await read(stream, 2), ["p_b/events 2", "runnel.live p_b 1"]);
  equal(splitEventIds(/id: (.*)\n\n$/.exec(stream.text)![1]!)[0], `${epoch}-${end}`);
  await stream.cancel();
  const before = await open(service, { lastEventId: joinEventIds([a, b]) }, ["p_a", "p_b"]);
  deepEqual(byPipeline(await before.events(4)), {
    p_a: ["runnel.live p_a 0", "runnel.end p_a 1"],
    p_b: [2, "runnel.live p_b 1"],
  });
  await before.cancel();
});

Deno.test("A busy pipeline does not hold up a quiet one", async () => {
  await using service = await startService();
  const large = "x".repeat(50_000);
  // Four pages of the log, which are replayed while the other pipeline goes on.
  for (let i = 0; i < 8; i++) await publish(service, "p_a", large, large, large);
  const stream = await open(service, { history: rangeOfNewest(Infinity) }, ["p_a", "p_b"]);
  await publish(service, "p_b", "quiet");
  // A turn of the event loop later, as for each write to a connection.
  await flush();
  const types: string[] = [];
  for (let i = 0; i < 27; i++) types.push((await stream.event())!.type);
  const quiet = types.indexOf("p_b/events");
  ok(quiet >= 0 && quiet < 12, `after ${quiet} events`);
  equal(types.filter((type) => type === "p_a/events").length, 24);
  await stream.cancel();
});

Deno.test("Two replays of a joined stream take turns, page by page", async () => {
  await using service = await startService();
  const large = "x".repeat(50_000);
  for (const id of ["p_a", "p_b"]) {
    for (let i = 0; i < 70; i++) await publish(service, id, large, large);
  }
  const stream = await open(service, { history: rangeOfNewest(Infinity) }, ["p_a", "p_b"]);
  const events = await readReplays(stream, 2);
  const count = { p_a: 0, p_b: 0 };
  let ahead = 0;
  for (const { type } of events) {
    if (type.startsWith("runnel.")) continue;
    count[type.split("/")[0] as "p_a" | "p_b"]++;
    // The newest 100 of each are in memory, and wait for no page.
    if (count.p_a <= 36) ahead = Math.max(ahead, Math.abs(count.p_a - count.p_b));
  }
  deepEqual(count, { p_a: 140, p_b: 140 });
  ok(ahead <= 6, `one was ahead by ${ahead} events`);
  await stream.cancel();
  await assertIdle(service);
});

Deno.test("A joined stream takes a place in each pipeline, for all or for none", async () => {
  await using service = await startService({
    settings: { RUNNEL_MAX_SUBSCRIBERS: "3", RUNNEL_MAX_PIPELINE_SUBSCRIBERS: "1" },
  });
  const { hub } = service;
  const first = await open(service, {}, ["p_a", "p_b"]);
  equal(hub.stats.places, 1);
  await rejects(hub.subscribe(["p_c", "p_b"]), TYPE("overloaded"));
  equal(hub.stats.pipelines, 2, "nothing is left of it");
  const other = await open(service, {}, ["p_c"]);
  await first.cancel();
  await other.cancel();
  await (await open(service, {}, ["p_c", "p_b"])).cancel();
  await assertIdle(service);
});

Deno.test("A joined stream leaves nothing behind when one of its logs does not answer", async () => {
  await using service = await startService();
  const { hub, kv } = service;
  await publish(service, "p_a", 1);
  kv.fallback = () => fail();
  await rejects(hub.subscribe(ALL), TYPE("log-unavailable"));
  kv.fallback = () => passThrough;
  await assertIdle(service);
});

Deno.test("A joined stream closes what it has opened when the log of another pipeline fails", async () => {
  await using service = await startService();
  const { hub, kv } = service;
  await publish(service, "p_a", 1);
  for (let i = 0; i < 150; i++) await publish(service, "p_b", i);
  const warm = await open(service, {}, ["p_a", "p_b"]);
  await readReplays(warm, 2);
  // The history of a channel is searched in the second log alone.
  kv.fallback = () => fail();
  await rejects(hub.subscribe(["p_a", "p_b"], { channels: ["rare"] }), TYPE("log-unavailable"));
  kv.fallback = () => passThrough;
  await warm.cancel();
  await assertIdle(service);
});

Deno.test("A joined stream that is drained ends with the position in all pipelines", async () => {
  await using service = await startService();
  await publish(service, "p_a", 1);
  const stream = await open(service);
  await readReplays(stream);
  const b = await publish(service, "p_b", 2);
  const rest = stream.events(5);
  await flush();
  await service.hub.stopPublishing(0);
  await service.hub.close();
  const events = await rest;
  deepEqual(events.map(describe), ["p_b/events 2"]);
  equal(splitEventIds(events[0]!.id!)[1], b);
});

Deno.test("A pipeline of a joined stream that is replaced meanwhile is told by a gap of its own", async () => {
  await using service = await startService();
  for (const id of ALL) await publish(service, id, 1);
  const stream = await open(service);
  await readReplays(stream);
  await advanceUntil(service.clock, service.hub.delete("p_b"));
  await publish(service, "p_a", 2);
  const next = read(stream, 3);
  await flush();
  deepEqual((await next).toSorted(), [
    "p_a/events 2",
    "runnel.gap p_b  unknown",
    "runnel.live p_b 0",
  ]);
  await stream.cancel();
});

Deno.test("A joined stream whose pipelines are opened at different times misses nothing", async () => {
  await using service = await startService();
  const { hub, kv } = service;
  const warm = await open(service, {}, ["p_a"]);
  await warm.until("runnel.live");
  // A read of the log of p_b, which has no subscriber yet.
  const paused = pause("answer");
  kv.script("getMany", paused.fault);
  const opening = open(service, {}, ["p_a", "p_b"]);
  await paused.reached;
  await hub.publish("p_a", [jsonEvent("meanwhile")]);
  paused.release();
  const stream = await opening;
  const events = byPipeline(await readReplays(stream, 2));
  deepEqual(events["p_a"]!.filter((value) => value === "meanwhile").length, 1);
  await stream.cancel();
  await warm.cancel();
});
