import { notStrictEqual, ok, strictEqual as equal } from "node:assert/strict";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import type { AcceptedEvent } from "../../lib/protocol/event.ts";
import { encode, encodeUnsent, UnsentEvent } from "../../lib/stream/encoded_event.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";

const EPOCH = "AAECAwQFBgc";

/** Returns an event whose payload is a part of a segment. */
function eventIn(segment: Uint8Array): AcceptedEvent {
  return { sequence: 1, time: 0, channel: "a", payload: segment.subarray(1, 3) };
}

Deno.test("UnsentEvent is encoded when it is first read, and once", () => {
  const segment = encodeUtf8("0123");
  const event = new UnsentEvent(eventIn(segment), EPOCH);
  segment[1] = "4".charCodeAt(0);
  const { bytes } = event;
  equal(decodeUtf8(bytes), `event: a\ndata: 42\nid: ${EPOCH}-1\n\n`);
  segment[1] = "5".charCodeAt(0);
  equal(event.bytes, bytes);
  equal(bytes.buffer.byteLength, bytes.length);
});

Deno.test("UnsentEvent takes memory for what it will send", () => {
  const accepted = { ...eventIn(encodeUtf8("0123")), traceparent: "t".repeat(55) };
  const { memory } = encode(accepted, EPOCH);
  const unsent = new UnsentEvent(accepted, EPOCH);
  ok(Math.abs(unsent.memory - memory) < 64, `${unsent.memory} and ${memory}`);
  equal(encodeUnsent(unsent).memory, memory);
});

Deno.test("EncodedEvents.appendAll() encodes events that were not sent, and keeps no segment", () => {
  const segment = encodeUtf8("0123");
  const page = new EncodedEvents(EPOCH, 0);
  page.appendUnsent([eventIn(segment)]);
  const tail = new EncodedEvents(EPOCH, 0);
  tail.appendAll(page);
  segment.fill(0);
  const { bytes } = tail.chunkAfter(0, 1, new ChannelFilter([]));
  equal(decodeUtf8(bytes), `event: a\ndata: 12\nid: ${EPOCH}-1\n\n`);
  const one = new EncodedEvents(EPOCH, 0);
  one.append([eventIn(encodeUtf8("0123"))]);
  equal(tail.bytes, one.bytes);
  notStrictEqual(tail.bytes, page.bytes);
});
