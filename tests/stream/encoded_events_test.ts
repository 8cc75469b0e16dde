import {
  deepStrictEqual as deepEqual,
  match,
  notStrictEqual,
  ok,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import fc from "fast-check";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import type { AcceptedEvent } from "../../lib/protocol/event.ts";
import { type Chunk, MAX_CHUNK_BYTES } from "../../lib/stream/chunk.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import { EVENT_FORM, formsOf } from "../../lib/stream/stream_form.ts";
import { EVENT_STREAM } from "../../lib/stream/syntax.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";

const EPOCH = "AAECAwQFBgc";
const ALL = new ChannelFilter([]);
const TRACED_FORM = formsOf(["p_a"], { syntax: EVENT_STREAM, traces: true, joined: false })[0]!;

/** Events from sequence `first` on, one for each channel, with payloads of `size` bytes. */
function events(first: number, channels: string[], size: number = 1): AcceptedEvent[] {
  return channels.map((channel, index) => ({
    sequence: first + index,
    time: 0,
    channel,
    payload: encodeUtf8("1".repeat(size)),
  }));
}

/** Encoded events `first` to `last` on channel `a`. */
function runOf(first: number, last: number, size: number = 1): EncodedEvents {
  const run = new EncodedEvents(EPOCH, first - 1);
  run.append(events(first, Array(last - first + 1).fill("a"), size));
  return run;
}

function sequencesIn({ bytes }: Chunk): number[] {
  return [...decodeUtf8(bytes).matchAll(/^id: AAECAwQFBgc-(\d+)$/gm)].map(([, text]) =>
    Number(text)
  );
}

/** Size of each event, in bytes, if all are alike. */
function sizeOfOne(run: EncodedEvents): number {
  return run.chunkAfter(run.last - 1, run.last, ALL).bytes.length;
}

/** Memory of each event, in bytes, if all are alike. */
function memoryOfOne(run: EncodedEvents): number {
  return run.bytes / (run.last + 1 - run.first);
}

Deno.test("EncodedEvents.append() encodes events in the event-stream format", () => {
  const run = new EncodedEvents(EPOCH, 6);
  run.append([{ sequence: 7, time: 0, channel: "orders", payload: encodeUtf8('{"n":1.0}') }]);
  deepEqual(run.chunkAfter(6, 7, ALL), {
    bytes: encodeUtf8('event: orders\ndata: {"n":1.0}\nid: AAECAwQFBgc-7\n\n'),
    count: 1,
    lastSequence: 7,
    cursor: 7,
  });
});

for (const sequence of [6, 7, 9]) {
  Deno.test(`EncodedEvents.append() rejects ${sequence} after 7`, () => {
    const run = runOf(5, 7);
    throws(() => run.append(events(sequence, ["a"])), RangeError);
    deepEqual([run.first, run.last], [5, 7]);
  });
}

Deno.test("EncodedEvents begins empty, after a given sequence", () => {
  const run = new EncodedEvents(EPOCH, 6);
  deepEqual([run.first, run.last, run.bytes], [7, 6, 0]);
});

Deno.test("EncodedEvents.chunkAfter() returns the events between cursor and limit", () => {
  const run = runOf(1, 9);
  deepEqual(sequencesIn(run.chunkAfter(0, 9, ALL)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  deepEqual(sequencesIn(run.chunkAfter(3, 6, ALL)), [4, 5, 6]);
  deepEqual(sequencesIn(run.chunkAfter(3, 100, ALL)), [4, 5, 6, 7, 8, 9]);
});

Deno.test("EncodedEvents.chunkAfter() shares one chunk between calls with the same arguments", () => {
  const run = runOf(1, 9);
  const chunk = run.chunkAfter(2, 9, new ChannelFilter(["a", "b"]));
  equal(run.chunkAfter(2, 9, new ChannelFilter(["b", "a"])), chunk);
});

Deno.test("EncodedEvents.chunkAfter() shares nothing between different cursors, limits or filters", () => {
  const run = runOf(1, 9);
  const chunk = run.chunkAfter(2, 9, ALL);
  notStrictEqual(run.chunkAfter(3, 9, ALL), chunk);
  notStrictEqual(run.chunkAfter(2, 8, ALL), chunk);
  notStrictEqual(run.chunkAfter(2, 9, new ChannelFilter(["a"])), chunk);
});

Deno.test("EncodedEvents.chunkAfter() returns the bytes of a single event without a copy", () => {
  const run = runOf(1, 2);
  const { bytes } = run.chunkAfter(0, 1, ALL);
  equal(run.chunkAfter(0, 1, new ChannelFilter(["a"])).bytes, bytes);
});

Deno.test("EncodedEvents.chunkAfter() returns bytes that keep no larger buffer in memory", () => {
  const segment = new Uint8Array(60_000).fill(48);
  const run = new EncodedEvents("AAECAwQFBgc", 0);
  const payload = segment.subarray(100, 120);
  run.append([1, 2, 3].map((sequence) => ({ sequence, time: 0, channel: "a", payload })));
  for (const until of [1, 3]) {
    const { bytes } = run.chunkAfter(0, until, ALL);
    equal(bytes.buffer.byteLength, bytes.length);
  }
});

Deno.test("EncodedEvents.chunkAfter() includes events that were appended since the last call", () => {
  const run = runOf(1, 2);
  deepEqual(sequencesIn(run.chunkAfter(0, 3, ALL)), [1, 2]);
  run.append(events(3, ["a"]));
  deepEqual(sequencesIn(run.chunkAfter(0, 3, ALL)), [1, 2, 3]);
  deepEqual(sequencesIn(run.chunkAfter(0, 5, ALL)), [1, 2, 3]);
  run.appendAll(runOf(4, 5));
  deepEqual(sequencesIn(run.chunkAfter(0, 5, ALL)), [1, 2, 3, 4, 5]);
});

Deno.test("EncodedEvents keeps its chunks when events are appended, until they are dropped", () => {
  const run = runOf(1, 10);
  const { bytes } = run.chunkAfter(2, 10, ALL);
  run.append(events(11, ["a"]));
  equal(run.chunkAfter(2, 10, ALL).bytes, bytes);
  run.dropChunks();
  notStrictEqual(run.chunkAfter(2, 10, ALL).bytes, bytes);
});

Deno.test("EncodedEvents.chunkAfter() keeps a bounded number of chunks", () => {
  const run = runOf(1, 100);
  const first = run.chunkAfter(0, 1, ALL);
  for (let until = 2; until <= 17; until++) run.chunkAfter(0, until, ALL);
  notStrictEqual(run.chunkAfter(0, 1, ALL), first);
});

Deno.test("EncodedEvents.chunkAfter() keeps nothing for filters that match nothing", () => {
  const run = runOf(1, 9);
  const filter = new ChannelFilter(["b"]);
  const chunk = run.chunkAfter(0, 9, filter);
  equal(chunk.count, 0);
  notStrictEqual(run.chunkAfter(0, 9, filter), chunk);
});

Deno.test("EncodedEvents.chunkAfter() counts the keys of the chunks that it keeps", () => {
  const run = runOf(1, 1200);
  const chunk = run.chunkAfter(0, 2, ALL);
  const filters = 2 * MAX_CHUNK_BYTES / (20 * 100);
  for (let i = 0; i < filters; i++) {
    const names = Array.from({ length: 19 }, (_, index) => `${i} ${index} `.padEnd(100, "x"));
    run.chunkAfter(0, 2, new ChannelFilter(["a", ...names]));
  }
  notStrictEqual(run.chunkAfter(0, 2, ALL), chunk);
});

Deno.test("EncodedEvents.chunkAfter() keeps no more memory than the events take", () => {
  const run = runOf(1, 4);
  const filters = Array.from({ length: 1000 }, (_, i) => new ChannelFilter(["a", `${i}`]));
  const chunks = filters.map((filter) => run.chunkAfter(0, 4, filter));
  let kept = 0;
  while (run.chunkAfter(0, 4, filters.at(-1 - kept)!) === chunks.at(-1 - kept)) kept++;
  // Each has the bytes of all events, and its key.
  ok(kept > 0 && kept < run.bytes / 256, `${kept}`);
  const long = new ChannelFilter([
    "a",
    ...Array.from({ length: 19 }, (_, i) => `${i}`.padEnd(128)),
  ]);
  notStrictEqual(run.chunkAfter(0, 4, long), run.chunkAfter(0, 4, long));
});

Deno.test("EncodedEvents.chunkAfter() fills a chunk up to its maximum size", () => {
  const run = runOf(1, 300, 1000);
  const chunk = run.chunkAfter(0, 300, ALL);
  const fitting = Math.floor(MAX_CHUNK_BYTES / sizeOfOne(run));
  ok(chunk.bytes.length <= MAX_CHUNK_BYTES);
  ok(Math.abs(chunk.count - fitting) <= 1, `${chunk.count} of ${fitting}`);
  equal(chunk.cursor, chunk.count);
  equal(chunk.lastSequence, chunk.count);
  deepEqual(sequencesIn(run.chunkAfter(chunk.cursor, 300, ALL))[0], chunk.cursor + 1);
});

Deno.test("EncodedEvents.chunkAfter() returns at least one event, whatever its size", () => {
  const run = runOf(1, 2, MAX_CHUNK_BYTES + 1);
  const { count, cursor } = run.chunkAfter(0, 2, ALL);
  deepEqual([count, cursor], [1, 1]);
});

Deno.test("EncodedEvents.chunkAfter() moves the cursor past filtered events", () => {
  const run = new EncodedEvents(EPOCH, 0);
  run.append(events(1, ["a", "b", "a", "b", "b"]));
  const chunk = run.chunkAfter(0, 5, new ChannelFilter(["a"]));
  deepEqual(sequencesIn(chunk), [1, 3]);
  deepEqual([chunk.count, chunk.lastSequence, chunk.cursor], [2, 3, 5]);
});

Deno.test("EncodedEvents.chunkAfter() is empty and moves the cursor when the filter keeps nothing", () => {
  const run = runOf(1, 9);
  const { bytes, ...rest } = run.chunkAfter(3, 7, new ChannelFilter(["b"]));
  equal(bytes.length, 0);
  deepEqual(rest, { count: 0, lastSequence: 0, cursor: 7 });
});

Deno.test("EncodedEvents.chunkAfter() returns each kept event once, in order, in steps", () => {
  const channels = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 60 });
  const named = fc.subarray(["a", "b", "c"]);
  fc.assert(
    fc.property(channels, named, fc.constantFrom(1, 20_000, 90_000), (channels, named, size) => {
      const run = new EncodedEvents(EPOCH, 0);
      run.append(events(1, channels, size));
      const filter = new ChannelFilter(named);
      const got: number[] = [];
      let cursor = 0;
      while (cursor < run.last) {
        const chunk = run.chunkAfter(cursor, run.last, filter);
        ok(chunk.cursor > cursor, "no progress");
        ok(chunk.bytes.length <= MAX_CHUNK_BYTES);
        const sequences = sequencesIn(chunk);
        equal(chunk.count, sequences.length);
        equal(chunk.lastSequence, sequences.at(-1) ?? 0);
        got.push(...sequences);
        cursor = chunk.cursor;
      }
      const kept = channels.flatMap((channel, index) => filter.keeps(channel) ? [index + 1] : []);
      deepEqual(got, kept);
    }),
  );
});

const trims: [
  name: string,
  limits: (one: number) => { events: number; bytes: number },
  left: number,
][] = [
  ["events alone", () => ({ events: 4, bytes: 0 }), 4],
  ["bytes alone", (one) => ({ events: 0, bytes: 3 * one }), 3],
  ["a part of an event's bytes", (one) => ({ events: 0, bytes: 2 * one + 1 }), 3],
  ["events where bytes ask for fewer", (one) => ({ events: 5, bytes: one }), 5],
  ["bytes where events ask for fewer", (one) => ({ events: 2, bytes: 6 * one }), 6],
  ["nothing", () => ({ events: 0, bytes: 0 }), 0],
  ["more than there is", () => ({ events: 100, bytes: 2 ** 30 }), 9],
];

for (const [name, limits, left] of trims) {
  Deno.test(`EncodedEvents.trim() keeps what its limits require: ${name}`, () => {
    const run = runOf(101, 109);
    const one = memoryOfOne(run);
    run.trim(limits(one));
    deepEqual([run.first, run.last, run.bytes], [110 - left, 109, left * one]);
  });
}

Deno.test("EncodedEvents.restAfter() returns the events after a cursor, the same ones again", () => {
  const run = runOf(1, 9);
  const rest = run.restAfter(3);
  deepEqual([rest.epoch, rest.first, rest.last, rest.bytes], [EPOCH, 4, 9, 6 * memoryOfOne(run)]);
  deepEqual(sequencesIn(rest.chunkAfter(3, 9, ALL)), [4, 5, 6, 7, 8, 9]);
  equal(run.restAfter(3), rest);
  equal(run.restAfter(5).first, 6);
  run.append(events(10, ["a"]));
  equal(run.restAfter(5).last, 10);
});

Deno.test("EncodedEvents.dropBelow() drops events below a sequence, and shared chunks", () => {
  const run = runOf(1, 9);
  const one = memoryOfOne(run);
  const chunk = run.chunkAfter(6, 9, ALL);
  run.dropBelow(6);
  deepEqual([run.first, run.last, run.bytes], [6, 9, 4 * one]);
  deepEqual(sequencesIn(run.chunkAfter(5, 9, ALL)), [6, 7, 8, 9]);
  notStrictEqual(run.chunkAfter(6, 9, ALL), chunk);
});

Deno.test("EncodedEvents.dropBelow() changes nothing when all below was dropped before", () => {
  const run = runOf(5, 9);
  const chunk = run.chunkAfter(4, 9, ALL);
  run.dropBelow(5);
  run.dropBelow(1);
  deepEqual([run.first, run.last], [5, 9]);
  equal(run.chunkAfter(4, 9, ALL), chunk);
});

Deno.test("EncodedEvents.dropBelow() leaves empty events that can be appended to", () => {
  const run = runOf(1, 9);
  run.dropBelow(10);
  deepEqual([run.first, run.last, run.bytes], [10, 9, 0]);
  run.append(events(10, ["a"]));
  deepEqual(sequencesIn(run.chunkAfter(9, 10, ALL)), [10]);
});

const TRACES = ["a", "b"].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`);

/** Events of which all but the last have a trace, the first two the same. */
function tracedEvents(): EncodedEvents {
  const run = new EncodedEvents(EPOCH, 0);
  run.append(
    events(1, Array(4).fill("a")).map((event, index) => {
      const traceparent = [TRACES[0], TRACES[0], TRACES[1]][index];
      return traceparent === undefined ? event : { ...event, traceparent };
    }),
  );
  return run;
}

Deno.test("EncodedEvents.replayAfter() shares one chunk with its marker", () => {
  const run = runOf(1, 9);
  const replay = run.replayAfter(2, 9, ALL, EVENT_FORM);
  deepEqual(sequencesIn(replay), [3, 4, 5, 6, 7, 8, 9, 9]);
  equal(run.replayAfter(2, 9, new ChannelFilter([]), EVENT_FORM), replay);
  match(decodeUtf8(replay.bytes), /data: {"replayed":7}\nid: .*-9\n\n$/);
  notStrictEqual(run.replayAfter(2, 9, ALL, TRACED_FORM), replay);
  deepEqual(sequencesIn(run.chunkAfter(2, 9, ALL)), [3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("EncodedEvents.replayAfter() adds no marker when more follows, or there is no event", () => {
  const run = runOf(1, 300, 1000);
  const first = run.replayAfter(0, 300, ALL, EVENT_FORM);
  equal(first, run.chunkAfter(0, 300, ALL));
  equal(run.replayAfter(first.cursor, 400, ALL, EVENT_FORM).hasMarker, undefined);
  equal(run.replayAfter(0, 300, new ChannelFilter(["b"]), EVENT_FORM).bytes.length, 0);
});

Deno.test("EncodedEvents.chunkAfter() keeps apart who asks for traces and who does not", () => {
  const run = tracedEvents();
  for (const [cursor, until] of [[0, 4], [2, 3]] as const) {
    const read = (traces: boolean) =>
      run.chunkAfter(cursor, until, ALL, traces ? TRACED_FORM : EVENT_FORM).bytes;
    const [traced, plain] = [read(true), read(false)];
    equal(read(true), traced, "made once for all");
    equal(read(false), plain, "made once for all");
    const text = decodeUtf8(traced);
    equal(text.match(/^traceparent: 00-/mg)?.length, cursor === 0 ? 3 : 1);
    equal(text.replaceAll(/^traceparent: .*\n/mg, ""), decodeUtf8(plain));
  }
});

Deno.test("EncodedEvents.tracesAfter() returns the different traces of the newest events", () => {
  const run = tracedEvents();
  deepEqual([...run.tracesAfter(0, 4, 32)], [TRACES[1], TRACES[0]]);
  deepEqual([...run.tracesAfter(0, 4, 1)], [TRACES[1]]);
  deepEqual([...run.tracesAfter(2, 4, 32)], [TRACES[1]]);
  deepEqual([...run.tracesAfter(0, 2, 32)], [TRACES[0]]);
  deepEqual([...run.tracesAfter(4, 4, 32)], []);
});
