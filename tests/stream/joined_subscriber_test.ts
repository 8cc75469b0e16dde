/**
 * The streams of several sources in memory.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import type { AcceptedEvent } from "../../lib/protocol/event.ts";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import type { EncodedPage } from "../../lib/stream/page_reader.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { numbers } from "../support/events.ts";
import { subscribeTo, withHistory } from "../support/subscriber_source.ts";
import { flush } from "../support/wait.ts";

/** Returns events whose payloads are their sequences, with spaces before them. */
function eventList(first: number, last: number, length = 0): AcceptedEvent[] {
  return numbers(first, last).map((sequence) => {
    const payload = new TextEncoder().encode(String(sequence).padStart(length));
    return { sequence, time: 0, channel: "events", payload };
  });
}

function eventsOf(epoch: string, first: number, last: number, length = 0): EncodedEvents {
  const events = new EncodedEvents(epoch, first - 1);
  events.append(eventList(first, last, length));
  return events;
}

/** Returns a source of ten events in its log, of which the newest are in memory. */
function sourceOf(id: string, epoch: string, newestInLog = 10, length = 0) {
  return withHistory({
    newest: eventsOf(epoch, 9, 10),
    page: (sequence: number): Promise<EncodedPage> =>
      Promise.resolve({
        epoch,
        sequence: newestInLog,
        after: sequence,
        missed: 0,
        reason: "evicted",
        events: eventsOf(epoch, sequence + 1, newestInLog, length),
      }),
  }, id);
}

Deno.test("A poll has the replays of all pipelines, though a page of one has newer events than may be sent", async () => {
  const first = { ...sourceOf("p_a", "AAAAAAAAAAA", 12), visible: 10 };
  const subscriber = subscribeTo([first, sourceOf("p_b", "BBBBBBBBBBB")], {
    resume: 0,
    isPoll: true,
  });
  // Published meanwhile, and not to be sent yet.
  first.newest.append(eventList(11, 12));
  const stream = new StreamReader(subscriber.body);
  const events = await stream.events(Infinity);
  const types = events.map(({ type, data }) => type === "runnel.live" ? data : type);
  deepEqual(
    [types.filter((type) => type === "p_b/events").length, types.at(-1)],
    [10, '{"pipeline":"p_b","replayed":10}'],
  );
});

Deno.test("A pipeline whose log is replaced in the middle of a page holds up no other one", async () => {
  // More than a chunk, so that a part of the page is left.
  const first = sourceOf("p_a", "AAAAAAAAAAA", 10, 100_000);
  const source = { ...first, historyStart: () => null };
  const subscriber = subscribeTo([source, sourceOf("p_b", "BBBBBBBBBBB")], { resume: 0 });
  const stream = new StreamReader(subscriber.body);
  equal((await stream.event())!.type, "p_a/events");
  // The history of the new log has to be searched, which does not end.
  source.newest = eventsOf("CCCCCCCCCCC", 1, 0);
  source.findHistory = () => new Promise(() => {});
  const types = (await stream.until("runnel.live")).map(({ type }) => type);
  equal(types.filter((type) => type === "p_b/events").length, 10);
  await stream.cancel();
});

Deno.test("A pipeline whose log is replaced before anything of it was sent begins without a gap", async () => {
  for (const announcesStart of [false, true]) {
    // The page of the first log never comes.
    const source = { ...sourceOf("p_b", "BBBBBBBBBBB"), page: () => new Promise<null>(() => {}) };
    const subscriber = subscribeTo([sourceOf("p_a", "AAAAAAAAAAA"), source], {
      history: rangeOfNewest(2),
      announcesStart,
    });
    source.newest.dropBelow(11);
    const stream = new StreamReader(subscriber.body);
    await stream.until("runnel.live");
    source.newest = eventsOf("CCCCCCCCCCC", 1, 2);
    subscriber.wake();
    const types = (await stream.until("runnel.live")).map(({ type }) => type);
    // A client that was told the start comes from another log.
    const gaps = announcesStart ? ["runnel.gap"] : [];
    deepEqual(types, [...gaps, "runnel.live"]);
    await stream.cancel();
  }
});

Deno.test("No keep-alive passes over a gap that comes with the next bytes", async () => {
  const page: EncodedPage = {
    epoch: "BBBBBBBBBBB",
    sequence: 10,
    after: 5,
    missed: 5,
    reason: "cleared",
    events: eventsOf("BBBBBBBBBBB", 6, 10),
  };
  const source = { ...sourceOf("p_b", "BBBBBBBBBBB"), page: () => Promise.resolve(page) };
  for (let turns = 0; turns < 50; turns++) {
    const subscriber = subscribeTo([sourceOf("p_a", "AAAAAAAAAAA"), source], { resume: 0 });
    const stream = new StreamReader(subscriber.body);
    const events = stream.events(18);
    for (let turn = 0; turn < turns; turn++) await null;
    subscriber.tick(0);
    await events;
    const blocks = stream.text.split("\n\n");
    const [first] = blocks.filter((block) => /BBBBBBBBBBB-([5-9]|10)$/.test(block));
    match(first!, /^event: runnel.gap$/m, `a keep-alive after ${turns} turns`);
    await stream.cancel();
  }
});

Deno.test("A joined stream has a page of one pipeline at a time in memory", async () => {
  const second = sourceOf("p_b", "BBBBBBBBBBB");
  let reads = 0;
  const source = { ...second, page: (after: number) => (reads++, second.page(after)) };
  // More than a chunk, so that a part of the page is left.
  const first = sourceOf("p_a", "AAAAAAAAAAA", 10, 100_000);
  const subscriber = subscribeTo([first, source], { resume: 0 });
  const stream = new StreamReader(subscriber.body);
  const types: string[] = [];
  for (let i = 0; i < 8; i++) types.push((await stream.event())!.type);
  equal(types.filter((type) => type === "p_b/events").length, 0);
  equal(reads, 0);
  deepEqual((await stream.events(14)).map(({ type }) => type).filter(isLive).length, 2);
  equal(reads, 1);
  await stream.cancel();
});

Deno.test("A pipeline whose run has ended keeps the stream open when it is made anew", async () => {
  const [first, second] = [sourceOf("p_a", "AAAAAAAAAAA"), sourceOf("p_b", "BBBBBBBBBBB")];
  first.newest.end = { sequence: 11, events: 10 };
  const subscriber = subscribeTo([first, second], { resume: 10 });
  const stream = new StreamReader(subscriber.body);
  equal((await stream.until("runnel.end")).at(-1)!.data, '{"pipeline":"p_a","events":10}');
  first.newest = eventsOf("CCCCCCCCCCC", 1, 1);
  subscriber.wake();
  await stream.until("p_a/events");
  second.newest.end = { sequence: 11, events: 10 };
  subscriber.wake();
  await stream.until("runnel.end");
  first.newest.append(eventList(2, 2));
  subscriber.wake();
  equal((await stream.until("p_a/events")).at(-1)?.data, "2");
  await stream.cancel();
});

Deno.test("A joined stream that is drained has the last events of each pipeline", async () => {
  const sources = [sourceOf("p_a", "AAAAAAAAAAA"), sourceOf("p_b", "BBBBBBBBBBB")];
  sources[0]!.newest = eventsOf("AAAAAAAAAAA", 1, 3);
  sources[1]!.newest = eventsOf("BBBBBBBBBBB", 1, 10);
  const subscriber = subscribeTo(sources, { resume: 0 });
  subscriber.end();
  const types = (await new StreamReader(subscriber.body).events(Infinity)).map(({ type }) => type);
  equal(types.filter((type) => type === "p_a/events").length, 3);
  equal(types.filter((type) => type === "p_b/events").length, 10);
});

Deno.test("A joined stream that is caught up is told of a log of the same length that replaces one", async () => {
  const [first, second] = [sourceOf("p_a", "AAAAAAAAAAA"), sourceOf("p_b", "BBBBBBBBBBB")];
  const subscriber = subscribeTo([first, second], { resume: 10 });
  const stream = new StreamReader(subscriber.body);
  await stream.until("runnel.live");
  await stream.until("runnel.live");
  const next = stream.event();
  // It is caught up when it is asked for more.
  await flush();
  second.newest = eventsOf("CCCCCCCCCCC", 9, 10);
  subscriber.wake();
  equal((await next)!.type, "runnel.gap");
  await stream.cancel();
});

Deno.test("A joined stream that is caught up is drained with the events that were held back", async () => {
  const first = sourceOf("p_a", "AAAAAAAAAAA");
  const second = { ...sourceOf("p_b", "BBBBBBBBBBB"), visible: 10 };
  const subscriber = subscribeTo([first, second], { resume: 10 });
  const stream = new StreamReader(subscriber.body);
  await stream.until("runnel.live");
  await stream.until("runnel.live");
  second.newest.append(eventList(11, 12));
  const rest = stream.events(Infinity);
  // It is caught up when it is asked for more.
  await flush();
  subscriber.end();
  deepEqual((await rest).map(({ type, data }) => [type, data]), [
    ["p_b/events", "11"],
    ["p_b/events", "12"],
  ]);
});

function isLive(type: string): boolean {
  return type === "runnel.live";
}
