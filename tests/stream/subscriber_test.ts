import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { Reporter } from "../../lib/base/report.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import type { EncodedPage } from "../../lib/stream/page_reader.ts";
import { rangeOfNewest } from "../../lib/protocol/history_range.ts";
import { type StreamItem, StreamReader } from "../support/clients/stream_reader.ts";
import { drain } from "../support/drain.ts";
import {
  describeEvent,
  gapMarker,
  lastEventIdHeader,
  liveMarker,
  numbers,
  readReplay,
  UNKNOWN_ID,
} from "../support/events.ts";
import type { FakeClock } from "../support/fakes/clock.ts";
import { fail, FaultyKv, pause, type PausedCall } from "../support/fakes/kv.ts";
import { assertIdle, jsonPost, startService, type TestService } from "../support/service.ts";
import { subscribeTo, withHistory } from "../support/subscriber_source.ts";
import { advanceUntil, flush, until } from "../support/wait.ts";

const KEEP_ALIVE_MS = 15_000;

/** Publishes the numbers from one to another, in one request. */
async function publishBatch(
  { fetch }: TestService,
  first: number,
  last: number,
  channel: (i: number) => string = () => "events",
  payload: (i: number) => unknown = (i) => i,
): Promise<string[]> {
  const events = Array.from({ length: last - first + 1 }, (_, index) => ({
    pipeline: "p_a",
    channel: channel(first + index),
    payload: payload(first + index),
  }));
  const response = await fetch(jsonPost("/ingest", events));
  const body = await response.json();
  equal(response.status, 202, JSON.stringify(body));
  return body.events.map(({ id }: { id: string }) => id);
}

/** Publishes 60 KB events, few enough in a request. */
async function publishLarge(service: TestService, first: number, last: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = first; i <= last; i += 8) {
    const until = Math.min(last, i + 7);
    ids.push(
      ...await publishBatch(service, i, until, undefined, (n) => `${n} ${"x".repeat(60_000)}`),
    );
  }
  return ids;
}

/** The next item of a waiting stream when some time passes. */
async function readAfter(
  stream: StreamReader,
  clock: FakeClock,
  ms: number,
): Promise<StreamItem | null> {
  const said = stream.next();
  await flush();
  clock.advance(ms);
  return await said;
}

// ------------------------------------------------------------------ beginning

for (const [random, ms] of [[0, 2000], [0.5, 3000], [0.9999, 4000]] as const) {
  Deno.test(`Subscriber sends a reconnection time of ${ms} ms first when random is ${random}`, async () => {
    await using service = await startService({ random: () => random });
    await publishBatch(service, 1, 1);
    const stream = await service.subscribe("p_a/sse");
    deepEqual(await stream.next(), { kind: "retry", ms });
    await stream.event();
    equal(stream.text.split("\n")[0], `retry: ${ms}`);
    await stream.cancel();
  });
}

Deno.test("Subscriber writes an event as event, data and id, each on one line", async () => {
  await using service = await startService();
  const [id] = await publishBatch(service, 1, 1, () => "orders", () => ({ text: "a\nb\u2028" }));
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  equal(
    stream.text,
    `retry: 3000\nevent: orders\ndata: {"text":"a\\nb\\u2028"}\nid: ${id}\n\n` +
      `event: runnel.live\ndata: {"replayed":1}\nid: ${id}\n\n`,
  );
  await stream.cancel();
});

for (
  const [published, first] of [[0, 1], [1, 1], [99, 1], [100, 1], [101, 2], [350, 251]] as const
) {
  Deno.test(`Subscriber gets exactly the newest 100 of ${published} at once when it is fresh`, async () => {
    await using service = await startService();
    if (published) await publishBatch(service, 1, published);
    const history = numbers(first, published);
    deepEqual(await readReplay(service, ""), [...history, liveMarker(history.length)]);
    await assertIdle(service);
  });
}

for (
  const [query, first] of [["?history=0", 151], ["?history=7", 144], ["?history=100", 51]] as const
) {
  Deno.test(`Subscriber gets as much history as ${query} says when it is fresh`, async () => {
    await using service = await startService();
    await publishBatch(service, 1, 150);
    deepEqual(await readReplay(service, query), [...numbers(first, 150), liveMarker(151 - first)]);
  });
}

Deno.test("Subscriber gets the live marker with the newest ID, then what is published", async () => {
  await using service = await startService();
  const ids = await publishBatch(service, 1, 3);
  const stream = await service.subscribe("p_a/sse");
  const events = await stream.until("runnel.live");
  deepEqual(events.map(({ id }) => id), [...ids, ids[2]]);
  const next = stream.events(3);
  ids.push(await service.publish("p_a", "events", 4), ...await publishBatch(service, 5, 6));
  deepEqual((await next).map(describeEvent), [4, 5, 6]);
  const more = stream.events(1);
  ids.push(await service.publish("p_a", "events", 7));
  deepEqual((await more).map(({ id }) => id), [ids[6]]);
  await stream.cancel();
});

Deno.test("Subscriber of one pipeline gets no event of another", async () => {
  await using service = await startService();
  await service.publish("p_b", "events", 1);
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  const next = stream.event();
  await service.publish("p_b", "events", 2);
  await service.publish("p_a", "events", 3);
  equal((await next)!.data, "3");
  await stream.cancel();
});

// ------------------------------------------------------------------- resuming

Deno.test("Subscriber resumes after the ID in the header, in the query, in the header first", async () => {
  await using service = await startService();
  const ids = await publishBatch(service, 1, 130);
  const [second, tenth] = [ids[1]!, ids[9]!];
  const afterSecond = [...numbers(3, 130), liveMarker(128)];
  const afterTenth = [...numbers(11, 130), liveMarker(120)];
  deepEqual(await readReplay(service, "", lastEventIdHeader(second)), afterSecond);
  deepEqual(await readReplay(service, `?lastEventId=${second}`), afterSecond);
  deepEqual(
    await readReplay(service, `?lastEventId=${second}`, lastEventIdHeader(tenth)),
    afterTenth,
  );
  deepEqual(
    await readReplay(service, `?lastEventId=${second}`, lastEventIdHeader("")),
    afterSecond,
  );
  deepEqual(await readReplay(service, "?lastEventId="), [...numbers(31, 130), liveMarker(100)]);
  deepEqual(await readReplay(service, "", lastEventIdHeader("")), [
    ...numbers(31, 130),
    liveMarker(100),
  ]);
});

Deno.test("Subscriber gets only the live marker when it resumes at the newest ID", async () => {
  await using service = await startService();
  const ids = await publishBatch(service, 1, 3);
  const stream = await service.subscribe("p_a/sse", lastEventIdHeader(ids[2]));
  deepEqual(await stream.event(), {
    kind: "event",
    id: ids[2],
    type: "runnel.live",
    data: '{"replayed":0}',
  });
  await stream.cancel();
});

Deno.test("Subscriber gets history= only when its last event ID is not of this log", async () => {
  await using service = await startService();
  const ids = await publishBatch(service, 1, 150);
  deepEqual(await readReplay(service, "?history=2", lastEventIdHeader(ids[9])), [
    ...numbers(11, 150),
    liveMarker(140),
  ]);
  const unknown = await readReplay(service, "?history=2", lastEventIdHeader("nonsense"));
  deepEqual(unknown, [gapMarker(null, "unknown"), 149, 150, liveMarker(2)]);
});

const UNKNOWN: [string, (newest: string) => string][] = [
  ["malformed", () => "nonsense"],
  ["a bare sequence", () => "3"],
  ["malformed with a good epoch", (newest) => newest.replace(/-\d+$/, "-03")],
  ["beyond all numbers", (newest) => newest.replace(/-\d+$/, "-9999999999999999")],
  ["foreign", () => UNKNOWN_ID],
  ["ahead", (newest) => newest.replace(/-\d+$/, "-151")],
];

for (const [what, makeId] of UNKNOWN) {
  Deno.test(`Subscriber gets a gap event and the history when its ID is ${what}`, async () => {
    await using service = await startService();
    const newest = (await publishBatch(service, 1, 150)).at(-1)!;
    const expected = [gapMarker(null, "unknown"), ...numbers(51, 150), liveMarker(100)];
    deepEqual(await readReplay(service, "", lastEventIdHeader(makeId(newest))), expected);
    const query = `?lastEventId=${encodeURIComponent(makeId(newest))}`;
    deepEqual(await readReplay(service, query), expected);
    const stream = await service.subscribe("p_a/sse?history=10", lastEventIdHeader(makeId(newest)));
    equal((await stream.event())!.id, newest.replace(/-150$/, "-140"), "the gap's position");
    await stream.cancel();
    await assertIdle(service);
  });
}

/** A service that has evicted the oldest events of a pipeline, and the first event left. */
async function createEvicted(): Promise<{ service: TestService; ids: string[]; oldest: number }> {
  const service = await startService({
    settings: { RUNNEL_HISTORY: "10", RUNNEL_RETENTION: "40" },
  });
  const ids = await publishWithTime(service, 1, 200);
  const { oldest } = (await service.log.head("p_a"))!;
  ok(oldest > 50 && oldest <= 161, `${oldest}`);
  return { service, ids, oldest };
}

async function publishWithTime(service: TestService, first: number, last: number) {
  const ids: string[] = [];
  for (let i = first; i <= last; i++) {
    ids.push(...await publishBatch(service, i, i, (n) => n % 2 ? "odd" : "even"));
    service.clock.advance(2000);
  }
  return ids;
}

Deno.test("Subscriber gets the number of missed events, then all others, after an eviction", async () => {
  const { service, ids, oldest } = await createEvicted();
  await using _ = service;
  for (const sequence of [1, 7, oldest - 2]) {
    deepEqual(await readReplay(service, "", lastEventIdHeader(ids[sequence - 1])), [
      gapMarker(oldest - 1 - sequence, "evicted"),
      ...numbers(oldest, 200),
      liveMarker(201 - oldest),
    ]);
  }
  const untouched = await readReplay(service, "", lastEventIdHeader(ids[oldest - 2]));
  deepEqual(untouched, [...numbers(oldest, 200), liveMarker(201 - oldest)]);
});

Deno.test("Subscriber with a filter gets the number of all missed events", async () => {
  const { service, ids, oldest } = await createEvicted();
  await using _ = service;
  const odd = numbers(oldest, 200).filter((n) => n % 2);
  deepEqual(await readReplay(service, "?channel=odd", lastEventIdHeader(ids[6])), [
    gapMarker(oldest - 8, "evicted"),
    ...odd,
    liveMarker(odd.length),
  ]);
});

Deno.test("Subscriber gets a gap event with the ID of its position", async () => {
  const { service, ids, oldest } = await createEvicted();
  await using _ = service;
  const stream = await service.subscribe("p_a/sse", lastEventIdHeader(ids[0]));
  equal((await stream.event())!.id, ids[oldest - 2]);
  await stream.cancel();
});

Deno.test("Subscriber gets the number of missed events, then later ones, after a clear", async () => {
  await using service = await startService();
  const ids = await publishBatch(service, 1, 20);
  await service.hub.clear("p_a");
  deepEqual(await readReplay(service, "", lastEventIdHeader(ids[4])), [
    gapMarker(15, "cleared"),
    liveMarker(0),
  ]);
  deepEqual(await readReplay(service, "", lastEventIdHeader(ids[19])), [liveMarker(0)]);
  await advanceUntil(service.clock, publishBatch(service, 21, 23));
  deepEqual(await readReplay(service, "", lastEventIdHeader(ids[4])), [
    gapMarker(15, "cleared"),
    21,
    22,
    23,
    liveMarker(3),
  ]);
  deepEqual(await readReplay(service, ""), [21, 22, 23, liveMarker(3)]);
  deepEqual(await readReplay(service, "", lastEventIdHeader(UNKNOWN_ID)), [
    gapMarker(null, "unknown"),
    21,
    22,
    23,
    liveMarker(3),
  ]);
});

Deno.test("Subscriber that reads slowly gets a gap event when events are evicted meanwhile", async () => {
  await using service = await startService({
    settings: { RUNNEL_HISTORY: "1", RUNNEL_RETENTION: "1", RUNNEL_KEEPALIVE_MS: "600000" },
  });
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  for (let i = 1; i <= 80; i += 8) {
    await publishLarge(service, i, i + 7);
    service.clock.advance(15_000);
  }
  const { oldest } = (await service.log.head("p_a"))!;
  ok(oldest > 1 && oldest < 46, `${oldest}`);
  const events = await stream.events(82 - oldest);
  deepEqual(events.map(describeEvent), [gapMarker(oldest - 1, "evicted"), ...numbers(oldest, 80)]);
  await stream.cancel();
  await until(() => service.log.pending.sweeps === 0);
  await assertIdle(service);
});

Deno.test("Subscriber that reads slowly gets a gap event when events are cleared meanwhile", async () => {
  await using service = await startService();
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  await publishBatch(service, 1, 20);
  await service.hub.clear("p_a");
  await advanceUntil(service.clock, publishBatch(service, 21, 22));
  deepEqual((await stream.events(3)).map(describeEvent), [gapMarker(20, "cleared"), 21, 22]);
  await stream.cancel();
});

// -------------------------------------------------------------------- filters

Deno.test("Subscriber with a filter gets the newest events of its channels and what follows", async () => {
  await using service = await startService();
  const channel = (i: number) => ["a", "b", "c"][i % 3]!;
  await publishBatch(service, 1, 201, channel);
  const stream = await service.subscribe("p_a/sse?channel=b&channel=c");
  const kept = numbers(52, 201).filter((i) => i % 3);
  equal(kept.length, 100);
  deepEqual((await stream.until("runnel.live")).map(describeEvent), [
    ...kept,
    liveMarker(kept.length),
  ]);
  const next = stream.events(4);
  await publishBatch(service, 202, 207, channel);
  deepEqual((await next).map(describeEvent), [202, 203, 205, 206]);
  await stream.cancel();
});

Deno.test("Subscriber gets its position with a keep-alive, once, when its cursor moved without an ID", async () => {
  await using service = await startService();
  const stream = await service.subscribe("p_a/sse?channel=b");
  await stream.until("runnel.live");
  const ids = await publishBatch(service, 1, 5, () => "a");
  const seam = stream.text.length;
  for (let i = 0; i < 2; i++) await readAfter(stream, service.clock, KEEP_ALIVE_MS);
  equal(stream.text.slice(seam), `:keepalive\nid: ${ids[4]}\n\n:keepalive\n`);
  await stream.cancel();
  await publishBatch(service, 6, 6, () => "b");
  deepEqual(await readReplay(service, "?channel=b", lastEventIdHeader(ids[4])), [6, liveMarker(1)]);
});

Deno.test("Subscriber gets its position at the end of its stream when its cursor moved without an ID", async () => {
  await using service = await startService();
  const stream = await service.subscribe("p_a/sse?channel=b");
  await stream.until("runnel.live");
  const ids = await publishBatch(service, 1, 5, () => "a");
  const seam = stream.text.length;
  const end = stream.next();
  await flush();
  await drain(service.hub);
  equal(await end, null);
  equal(stream.text.slice(seam), `id: ${ids[4]}\n\n`);
});

// ---------------------------------------------------------- always a position

const FIRST_POSITIONS: [
  string,
  string,
  (service: TestService) => Promise<unknown>,
  HeadersInit?,
][] = [
  ["of a pipeline that nobody wrote to", "", () => Promise.resolve()],
  [
    "with a filter that matches nothing",
    "?channel=b",
    (service) => publishBatch(service, 1, 150, () => "a"),
  ],
  ["without history", "?history=0", (service) => publishBatch(service, 1, 150)],
  ["of a pipeline that was cleared", "", async (service) => {
    await publishBatch(service, 1, 150);
    await service.hub.clear("p_a");
  }],
  [
    "with an unknown ID",
    "?history=0",
    (service) => publishBatch(service, 1, 150),
    lastEventIdHeader(UNKNOWN_ID),
  ],
];

for (const [what, query, prepare, headers = {}] of FIRST_POSITIONS) {
  Deno.test(`Subscriber ${what} has a position from the beginning, and resumes without a hole`, async () => {
    await using service = await startService();
    await prepare(service);
    const stream = await service.subscribe(`p_a/sse${query}`, headers);
    const { id } = (await stream.event())!;
    await stream.cancel();
    await assertIdle(service);
    await advanceUntil(service.clock, publishBatch(service, 1001, 1250, () => "b"));
    deepEqual(await readReplay(service, query, lastEventIdHeader(id)), [
      ...numbers(1001, 1250),
      liveMarker(250),
    ]);
  });
}

// ---------------------------------------------------------------- keep-alives

Deno.test("Subscriber gets a keep-alive every 15 seconds, whether events flow or not", async () => {
  await using service = await startService();
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  const comments: number[] = [];
  const start = service.clock.now();
  const read = async () => {
    while (true) {
      const said = await stream.next();
      if (!said) return;
      if (said.kind === "comment") comments.push(service.clock.now() - start);
    }
  };
  const reading = read();
  for (let second = 1; second <= 60; second++) {
    if (second > 30) await service.publish("p_a", "events", second);
    await flush();
    service.clock.advance(1000);
    await flush();
  }
  deepEqual(comments, [15_000, 30_000, 45_000, 60_000]);
  equal(service.clock.liveTimers, 1);
  await stream.cancel();
  await reading;
  await assertIdle(service);
});

Deno.test("Subscriber that does not read gets no keep-alive, and is closed at the second one", async () => {
  await using service = await startService();
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  const seam = stream.text.length;
  service.clock.advance(2 * KEEP_ALIVE_MS - 1);
  equal(service.hub.stats.subscribers, 1);
  service.clock.advance(1);
  await assertIdle(service);
  equal(await stream.next(), null);
  equal(stream.text.length, seam);
});

Deno.test("Subscriber that never read is closed at the second keep-alive", async () => {
  await using service = await startService();
  await service.subscribe("p_a/sse");
  service.clock.advance(2 * KEEP_ALIVE_MS);
  await assertIdle(service);
});

Deno.test("Subscriber that reads now and then stays open", async () => {
  await using service = await startService();
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  for (let i = 1; i <= 5; i++) {
    service.clock.advance(KEEP_ALIVE_MS);
    await service.publish("p_a", "events", i);
    equal((await stream.event())!.data, String(i));
  }
  equal(service.hub.stats.subscribers, 1);
  await stream.cancel();
});

for (const [random, seconds] of [[0, 240], [0.5, 300], [0.9999, 360]] as const) {
  Deno.test(`Subscriber's stream ends cleanly after ${seconds} s when random is ${random}`, async () => {
    await using service = await startService({
      random: () => random,
      settings: { RUNNEL_MAX_STREAM_AGE_MS: "300000" },
    });
    const stream = await service.subscribe("p_a/sse");
    await stream.until("runnel.live");
    for (let at = 15; at < seconds; at += 15) {
      const said = await readAfter(stream, service.clock, KEEP_ALIVE_MS);
      deepEqual(said, { kind: "comment", text: "keepalive" }, `${at}`);
    }
    equal(await readAfter(stream, service.clock, KEEP_ALIVE_MS), null);
    await assertIdle(service);
  });
}

Deno.test("Subscriber that does not read is closed when its stream has reached its maximum age", async () => {
  await using service = await startService({
    settings: { RUNNEL_MAX_STREAM_AGE_MS: "20000" },
  });
  const stream = await service.subscribe("p_a/sse");
  await stream.until("runnel.live");
  await publishBatch(service, 1, 1);
  service.clock.advance(4 * KEEP_ALIVE_MS);
  await assertIdle(service);
});

// -------------------------------------------------------- cursors, not queues

/** A subscriber of events in memory, and the cursors of the chunks that it took. */
function subscribeToTail(tail: EncodedEvents, onClose = () => {}, report: Reporter = () => {}) {
  const asked: number[] = [];
  const after = tail.chunkAfter.bind(tail);
  tail.chunkAfter = (cursor, ...rest) => {
    asked.push(cursor);
    return after(cursor, ...rest);
  };
  const source = withHistory({
    newest: tail,
    page: () => Promise.reject(new Error("nothing is behind the tail")),
  } as { newest: EncodedEvents; page: () => Promise<never> });
  const subscriber = subscribeTo(source, { onClose, runtime: { report } });
  return { subscriber, asked, source };
}

function newEvents(first: number, last: number) {
  return numbers(first, last).map((sequence) => ({
    sequence,
    time: 0,
    channel: "events",
    payload: new TextEncoder().encode(String(sequence)),
  }));
}

Deno.test("Subscriber that does not read is reported once, with its pipeline", () => {
  const reports: unknown[] = [];
  const report: Reporter = (message, _cause, options) => reports.push([message, options]);
  const { subscriber } = subscribeToTail(new EncodedEvents("AAECAwQFBgc", 0), () => {}, report);
  for (let ticks = 0; ticks < 4; ticks++) subscriber.tick(0);
  deepEqual(reports, [[
    "Closed the stream of a client that does not read",
    { level: "info", fields: { pipeline: "p_a" } },
  ]]);
});

Deno.test("Subscriber takes no events while the connection does not pull", async () => {
  const tail = new EncodedEvents("AAECAwQFBgc", 0);
  const { subscriber, asked } = subscribeToTail(tail);
  const reader = subscriber.body.getReader();
  for (let i = 1; i <= 10; i++) {
    tail.append(newEvents(i, i));
    subscriber.wake();
    if (i === 5) subscriber.tick(0);
    if (i === 1) { for (let chunk = 0; chunk < 3; chunk++) await reader.read(); }
  }
  await flush();
  deepEqual(asked, [0]);
  const { value } = await reader.read();
  deepEqual(asked, [0, 1]);
  equal(new TextDecoder().decode(value).match(/^data: /gm)!.length, 9);
  await reader.cancel();
});

Deno.test("Subscriber sends all that is ready at the beginning with one pull", async () => {
  const tail = new EncodedEvents("AAECAwQFBgc", 0);
  tail.append(newEvents(1, 3));
  const { subscriber, source } = subscribeToTail(tail);
  const reader = subscriber.body.getReader();
  const read = async () => new TextDecoder().decode((await reader.read()).value);
  equal(await read(), "retry: 1\n");
  // Whatever a later pull gets is of another log.
  source.newest = new EncodedEvents("BBECAwQFBgc", 0);
  match(
    await read(),
    /^event: events\ndata: 1\n[^]*event: runnel\.live\ndata: {"replayed":3}\nid: AAECAwQFBgc-3\n\n$/,
  );
  match(await read(), /^event: runnel\.gap\n[^]*id: BBECAwQFBgc-0\n\n$/);
  await reader.cancel();
});

Deno.test("Subscriber queues no second chunk of its replay", async () => {
  const tail = new EncodedEvents("AAECAwQFBgc", 0);
  for (let i = 1; i <= 6; i++) {
    const payload = new TextEncoder().encode(`"${"x".repeat(100_000)}"`);
    tail.append([{ sequence: i, time: 0, channel: "events", payload }]);
  }
  const { subscriber, asked } = subscribeToTail(tail);
  const reader = subscriber.body.getReader();
  await reader.read();
  await flush();
  deepEqual(asked, [0]);
  await reader.read();
  await flush();
  deepEqual(asked, [0]);
  await reader.read();
  deepEqual(asked, [0, 2]);
  await reader.cancel();
});

Deno.test("Subscribers that have their positions get the very same bytes as a keep-alive", async () => {
  const readers = [1, 2].map((count) => {
    const tail = new EncodedEvents("AAECAwQFBgc", 0);
    tail.append(newEvents(1, count));
    const { subscriber } = subscribeToTail(tail);
    return { subscriber, reader: subscriber.body.getReader() };
  });
  const keepAlives = [];
  for (const { subscriber, reader } of readers) {
    for (let chunk = 0; chunk < 2; chunk++) await reader.read();
    const next = reader.read();
    await flush();
    subscriber.tick(0);
    keepAlives.push((await next).value);
    await reader.cancel();
  }
  equal(new TextDecoder().decode(keepAlives[0]), ":keepalive\n");
  equal(keepAlives[1], keepAlives[0]);
});

Deno.test("Subscriber sends each event once when the connection pulls several times at once", async () => {
  const tail = new EncodedEvents("AAECAwQFBgc", 0);
  const { subscriber } = subscribeToTail(tail);
  const reader = subscriber.body.getReader();
  for (let chunk = 0; chunk < 2; chunk++) await reader.read();
  const reads = Array.from({ length: 4 }, () => reader.read());
  await flush();
  for (let i = 1; i <= 2; i++) {
    tail.append(newEvents(i, i));
    subscriber.wake();
  }
  subscriber.end();
  const chunks = await Promise.all(reads);
  const text = chunks.map(({ value }) => new TextDecoder().decode(value)).join("");
  equal(text.replace(/^(id|event): .*\n/gm, ""), "data: 1\n\ndata: 2\n\n");
  deepEqual(chunks.map(({ done }) => done), [false, false, true, true]);
});

Deno.test("Subscriber ends after the events that were there when it was told to end first", async () => {
  const tail = new EncodedEvents("AAECAwQFBgc", 0);
  const { subscriber } = subscribeToTail(tail);
  const reader = subscriber.body.getReader();
  for (let chunk = 0; chunk < 2; chunk++) await reader.read();
  for (let i = 1; i <= 2; i++) {
    tail.append(newEvents(i, i));
    subscriber.end();
  }
  match(new TextDecoder().decode((await reader.read()).value), /^data: 1\nid: .*-1\n\n$/m);
  equal((await reader.read()).done, true);
});

Deno.test("Subscriber closes once when its stream is cancelled before its last chunk is read", async () => {
  let closes = 0;
  const tail = new EncodedEvents("AAECAwQFBgc", 0);
  const { subscriber } = subscribeToTail(tail, () => closes++);
  const reader = subscriber.body.getReader();
  for (let chunk = 0; chunk < 2; chunk++) await reader.read();
  const abandoned = reader.read().catch(() => {});
  await flush();
  reader.releaseLock();
  tail.append(newEvents(1, 1));
  subscriber.wake();
  subscriber.end();
  subscriber.tick(0);
  subscriber.tick(0);
  equal(closes, 1);
  await subscriber.body.cancel();
  await abandoned;
  equal(closes, 1);
});

Deno.test("Subscriber ignores a page that was requested before its log was replaced", async () => {
  const eventsOf = (first: number, last: number) => {
    const events = new EncodedEvents("AAECAwQFBgc", first - 1);
    events.append(newEvents(first, last));
    return events;
  };
  const page = Promise.withResolvers<EncodedPage>();
  let reads = 0;
  const source = withHistory({ newest: eventsOf(100, 110), page: () => (reads++, page.promise) });
  const subscriber = subscribeTo(source, { resume: 50, history: rangeOfNewest(3) });
  const stream = new StreamReader(subscriber.body);
  const told = stream.events(5);
  await flush();
  subscriber.wake();
  equal(reads, 1, "one read at a time");
  // As of a backup: the same epoch, with fewer events.
  source.newest = eventsOf(16, 20);
  subscriber.wake();
  const events = eventsOf(81, 99);
  page.resolve({
    epoch: "AAECAwQFBgc",
    sequence: 99,
    after: 80,
    missed: 30,
    reason: "evicted",
    events,
  });
  deepEqual((await told).map(describeEvent), [
    gapMarker(null, "unknown"),
    18,
    19,
    20,
    liveMarker(3),
  ]);
  await stream.cancel();
});

Deno.test("Subscriber sends events that arrive together as one chunk", async () => {
  await using service = await startService();
  const body = await service.hub.subscribe("p_a");
  const reader = body.getReader();
  await reader.read();
  await reader.read();
  const next = reader.read();
  await publishBatch(service, 1, 50);
  match(new TextDecoder().decode((await next).value), /data: 1\n[^]*data: 50\nid: .*-50\n\n$/);
  await reader.cancel();
});

Deno.test("Subscribers with the same cursor get the very same bytes", async () => {
  await using service = await startService();
  await publishBatch(service, 1, 150, (i) => i % 2 ? "odd" : "even");
  for (const channels of [[], ["odd"]]) {
    const bodies = [];
    for (let i = 0; i < 3; i++) bodies.push(await service.hub.subscribe("p_a", { channels }));
    const readers = bodies.map((body) => body.getReader());
    const read = () => Promise.all(readers.map(async (reader) => (await reader.read()).value!));
    await read();
    const [replay, ...others] = await read();
    ok(others.every((chunk) => chunk === replay), "replay");
    const news = read();
    await publishBatch(service, 1, 2, () => "odd");
    const [chunk, ...more] = await news;
    ok(more.every((other) => other === chunk), "news");
    for (const reader of readers) await reader.cancel();
  }
});

Deno.test("Subscriber behind the tail reads pages of the log, and gets all in bounded chunks", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    open: () => Promise.resolve(kv),
    settings: { RUNNEL_HISTORY: "5", RUNNEL_KEEPALIVE_MS: "600000" },
  });
  const body = await service.hub.subscribe("p_a");
  const reader = body.getReader();
  await reader.read();
  await publishLarge(service, 1, 100);
  ok(service.hub.stats.tailBytes < 3 * 1024 * 1024, `${service.hub.stats.tailBytes}`);
  const listed = kv.calls.next;
  const sequences: number[] = [];
  while (sequences.at(-1) !== 100) {
    const { value } = await reader.read();
    ok(value!.length <= 320 * 1024, `${value!.length}`);
    const text = new TextDecoder().decode(value);
    sequences.push(...[...text.matchAll(/^data: "(\d+)/gm)].map(([, n]) => Number(n)));
  }
  deepEqual(sequences, numbers(1, 100));
  ok(kv.calls.next > listed);
  await reader.cancel();
  await assertIdle(service);
});

Deno.test("Subscribers behind the tail share their reads of the log, few of them in flight", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    open: () => Promise.resolve(kv),
    settings: { RUNNEL_HISTORY: "5" },
  });
  const ids = await publishBatch(service, 1, 150);
  const body = await service.hub.subscribe("p_a");
  const held: PausedCall[] = [];
  kv.fallback = (call) => {
    if (call !== "get") return (carryOut) => carryOut();
    held.push(pause("call"));
    return held.at(-1)!.fault;
  };
  const streams: StreamReader[] = [];
  for (const id of ids.slice(0, 10)) {
    for (let i = 0; i < 3; i++) {
      streams.push(new StreamReader(await service.hub.subscribe("p_a", { lastEventId: id })));
    }
  }
  const reading = streams.map((stream) => stream.until("runnel.live"));
  for (let reads = 4; reads <= 10; reads++) {
    await flush();
    equal(held.length, reads);
    held[reads - 4]!.release();
    await until(() => held.length > reads || reads === 10);
  }
  for (const { release } of held) release();
  for (const [index, events] of (await Promise.all(reading)).entries()) {
    const first = Math.floor(index / 3) + 2;
    deepEqual(events.map(describeEvent), [...numbers(first, 150), liveMarker(151 - first)]);
  }
  equal(held.length, 10);
  for (const stream of streams) await stream.cancel();
  await body.cancel();
  await assertIdle(service);
});

Deno.test("Subscriber is closed, and the reason reported, when the log cannot be read", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    open: () => Promise.resolve(kv),
    settings: { RUNNEL_HISTORY: "5" },
  });
  const ids = await publishBatch(service, 1, 50);
  const stream = await service.subscribe("p_a/sse", lastEventIdHeader(ids[0]));
  kv.script("get", fail());
  equal(await stream.event(), null);
  match(service.reports.join(), /Cannot read the log for a subscriber/);
  await assertIdle(service);
  deepEqual(await readReplay(service, "", lastEventIdHeader(ids[0])), [
    ...numbers(2, 50),
    liveMarker(49),
  ]);
});

Deno.test("Subscriber gets no page when it leaves while the log is read", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    open: () => Promise.resolve(kv),
    settings: { RUNNEL_HISTORY: "5" },
  });
  const ids = await publishBatch(service, 1, 50);
  const stream = await service.subscribe("p_a/sse", lastEventIdHeader(ids[0]));
  const held = pause("answer");
  kv.script("get", held.fault);
  const end = stream.event();
  await held.reached;
  await stream.cancel();
  held.release();
  equal(await end, null);
  await assertIdle(service);
  deepEqual(service.reports, []);
});

Deno.test("Subscriber loses nothing when a keep-alive is sent while the log is read", async () => {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  await using service = await startService({
    open: () => Promise.resolve(kv),
    settings: { RUNNEL_HISTORY: "5", RUNNEL_KEEPALIVE_MS: "1500" },
  });
  const ids = await publishBatch(service, 1, 50);
  const stream = await service.subscribe("p_a/sse", lastEventIdHeader(ids[0]));
  const held = pause("answer");
  kv.script("get", held.fault);
  const events = stream.until("runnel.live");
  await held.reached;
  service.clock.advance(1500);
  await flush();
  held.release();
  deepEqual((await events).map(describeEvent), [...numbers(2, 50), liveMarker(49)]);
  match(stream.text, /^retry: 3000\n:keepalive\nevent:/);
  await stream.cancel();
});

Deno.test("Subscriber is removed at once when it leaves", async () => {
  await using service = await startService();
  for (const reads of [0, 1, 2, 3]) {
    const stream = await service.subscribe("p_a/sse");
    for (let i = 0; i < Math.min(reads, 2); i++) await stream.next();
    const waiting = reads === 3 ? stream.next() : null;
    await flush();
    await stream.cancel();
    await assertIdle(service);
    equal(await waiting, null);
  }
});
