import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import type { NewEvent } from "../../lib/protocol/event.ts";
import { MAX_PAYLOAD_BYTES } from "../../lib/protocol/event_rules.ts";
import {
  EVENT_HEADER_BYTES,
  MAX_SEGMENT_BYTES,
  packSegments,
  readChannels,
  readSegmentHeader,
  unpackSegment,
} from "../../lib/log/segment.ts";
import { awkwardLine } from "../support/generators/awkward_text.ts";
import { encodeUtf8 } from "../support/generators/text.ts";

/** Maximum size of a value of Deno KV, in bytes. */
const MAX_VALUE_BYTES = 65_536;

const STAMP = { token: 1n, time: 5, first: 7 };

const event: fc.Arbitrary<NewEvent> = fc.record({
  channel: fc.oneof(
    awkwardLine.map((text) => text.toWellFormed()),
    fc.nat(128).map((length) => "€".repeat(length)),
  ),
  payload: fc.oneof(
    { weight: 4, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    { weight: 1, arbitrary: fc.nat(MAX_PAYLOAD_BYTES).map((size) => new Uint8Array(size)) },
  ),
}, { noNullPrototype: true });

const TRACES = ["a", "b"].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`);

/** An event of a trace or of none, as the one before it or not. */
const tracedEvent: fc.Arbitrary<NewEvent> = fc.tuple(event, fc.constantFrom(...TRACES, null))
  .map(([event, traceparent]) => traceparent === null ? event : { ...event, traceparent });

const stamp = fc.record({
  token: fc.bigInt(0n, 2n ** 64n - 1n),
  time: fc.maxSafeNat(),
  first: fc.integer({ min: 1, max: 10 ** 15 }),
});

Deno.test("unpackSegment() returns the events that packSegments() packed, in order", () => {
  fc.assert(
    fc.property(stamp, fc.array(event, { minLength: 1, maxLength: 30 }), (stamp, events) => {
      const segments = packSegments(stamp, events);
      deepEqual(
        segments.flatMap(unpackSegment),
        events.map((event, index) => ({
          ...event,
          sequence: stamp.first + index,
          time: stamp.time,
        })),
      );
    }),
  );
});

Deno.test("unpackSegment() returns the trace of each event, and readChannels() its channel", () => {
  const events = fc.array(tracedEvent, { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(stamp, events, (stamp, events) => {
      const segments = packSegments(stamp, events);
      deepEqual(
        segments.flatMap(unpackSegment).map(({ channel, payload, traceparent }) =>
          traceparent === undefined ? { channel, payload } : { channel, payload, traceparent }
        ),
        events,
      );
      deepEqual(segments.flatMap(readChannels), events.map(({ channel }) => channel));
      ok(segments.every(({ length }) => length <= MAX_SEGMENT_BYTES));
    }),
  );
});

Deno.test("packSegments() writes version 1 and not a byte more without traces", () => {
  const plain = { channel: "c", payload: encodeUtf8("1") };
  const [segment] = packSegments(STAMP, [plain, plain]);
  // As the version before wrote it.
  const written = "010000000000000001" + "4014000000000000" + "401c000000000000" + "00000002" +
    "0001000000016331".repeat(2);
  equal(segment!.toHex(), written);
  deepEqual(unpackSegment(Uint8Array.fromHex(written)).map(({ sequence }) => sequence), [7, 8]);
});

Deno.test("packSegments() stores the trace of a request once in each segment", () => {
  const traced = { channel: "c", payload: encodeUtf8("1"), traceparent: TRACES[0]! };
  const sizes = [1, 2, 3].map((count) => packSegments(STAMP, Array(count).fill(traced))[0]!.length);
  deepEqual([sizes[1]! - sizes[0]!, sizes[2]! - sizes[1]!], [9, 9]);
  const large = { ...traced, payload: new Uint8Array(MAX_PAYLOAD_BYTES) };
  const segments = packSegments(STAMP, [large, large]);
  equal(segments.length, 2);
  for (const segment of segments) equal(unpackSegment(segment)[0]!.traceparent, TRACES[0]);
});

Deno.test("readSegmentHeader() returns token, time and sequences of every segment", () => {
  fc.assert(
    fc.property(stamp, fc.array(event, { minLength: 1, maxLength: 30 }), (stamp, events) => {
      for (const segment of packSegments(stamp, events)) {
        const unpacked = unpackSegment(segment);
        deepEqual(readSegmentHeader(segment), {
          token: stamp.token,
          time: stamp.time,
          first: unpacked[0]!.sequence,
          last: unpacked.at(-1)!.sequence,
        });
      }
    }),
  );
});

Deno.test("packSegments() returns as few segments as possible, none too large", () => {
  fc.assert(fc.property(fc.array(event, { minLength: 1, maxLength: 30 }), (events) => {
    const segments = packSegments(STAMP, events);
    segments.forEach((segment, index) => {
      ok(segment.length <= MAX_SEGMENT_BYTES);
      if (index === 0) return;
      const { channel, payload } = unpackSegment(segment)[0]!;
      const size = EVENT_HEADER_BYTES + encodeUtf8(channel).length + payload.length;
      ok(segments[index - 1]!.length + size > MAX_SEGMENT_BYTES, "it would have fit before");
    });
  }));
});

Deno.test("packSegments() fills a segment to its last byte before it starts another", () => {
  const pair = (spare: number) => {
    const empty = packSegments(STAMP, [{ channel: "c", payload: new Uint8Array() }])[0]!.length;
    const rest = MAX_SEGMENT_BYTES - empty - EVENT_HEADER_BYTES - 1 - 30_000;
    return [new Uint8Array(30_000), new Uint8Array(rest + spare)]
      .map((payload) => ({ channel: "c", payload }));
  };
  deepEqual(packSegments(STAMP, pair(0)).map(({ length }) => length), [MAX_SEGMENT_BYTES]);
  equal(packSegments(STAMP, pair(1)).length, 2);
});

Deno.test("packSegments() starts with the first event, even if that is too large", () => {
  const segments = packSegments(STAMP, [
    { channel: "c", payload: new Uint8Array(MAX_SEGMENT_BYTES) },
    { channel: "c", payload: new Uint8Array(1) },
  ]);
  deepEqual(segments.map((segment) => readSegmentHeader(segment).last), [7, 8]);
});

Deno.test("packSegments() packs the largest event into a value that Deno KV takes", async () => {
  using kv = await Deno.openKv(":memory:");
  const largest = { channel: "€".repeat(128), payload: new Uint8Array(MAX_PAYLOAD_BYTES) };
  const [segment, ...more] = packSegments(STAMP, [largest]);
  equal(more.length, 0);
  await kv.set(["log"], segment);
  deepEqual((await kv.get(["log"])).value, segment);
});

Deno.test("MAX_SEGMENT_BYTES is a size that Deno KV takes", async () => {
  using kv = await Deno.openKv(":memory:");
  await kv.set(["log"], new Uint8Array(MAX_SEGMENT_BYTES));
  ok(MAX_SEGMENT_BYTES < MAX_VALUE_BYTES);
});

Deno.test("unpackSegment() reads bytes inside a larger buffer", () => {
  const [segment] = packSegments(STAMP, [{ channel: "c", payload: encodeUtf8("1") }]);
  const larger = new Uint8Array(segment!.length + 20);
  larger.set(segment!, 13);
  const inside = larger.subarray(13, 13 + segment!.length);
  deepEqual(unpackSegment(inside), unpackSegment(segment!));
});

for (const version of [0, 3, 255]) {
  Deno.test(`unpackSegment() refuses a segment of version ${version}`, () => {
    const [segment] = packSegments(STAMP, [{ channel: "c", payload: encodeUtf8("1") }]);
    segment![0] = version;
    const refusal = {
      name: "TypeError",
      message: new RegExp(`expected version 1 or 2, got ${version}`),
    };
    throws(() => readSegmentHeader(segment!), refusal);
    throws(() => unpackSegment(segment!), refusal);
  });
}
