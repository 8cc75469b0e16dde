import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { appendReader } from "../../lib/http/append_body.ts";
import { awkwardText } from "../support/generators/awkward_text.ts";
import { cut, cutBytewise } from "../support/generators/cut.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { countTouchedBytes } from "../support/touched_bytes.ts";

const NDJSON = "application/x-ndjson";
const STREAM = "text/event-stream";

function open(contentType: string, maxPayloadBytes: number = 64) {
  return appendReader({ contentType, channel: null, data: "auto", limits: { maxPayloadBytes } });
}

/** Reads a body in pieces, and returns its events and the message of its error. */
function read(contentType: string, pieces: Uint8Array[]): string[][] {
  const reader = open(contentType);
  const results: string[][] = [];
  try {
    for (const piece of [...pieces, null]) {
      for (const { event, end } of piece ? reader.read(piece) : reader.end()) {
        results.push([event.channel, decodeUtf8(event.payload), String(end)]);
      }
    }
    equal(contentType === STREAM || reader.heldBytes === 0, true);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "RunnelError") throw error;
    results.push([error.message]);
  }
  return results;
}

const jsonLine = fc.record({
  channel: fc.constantFrom("c", "é", "a\u2028"),
  payload: fc.oneof(fc.jsonValue({ maxDepth: 1 }), awkwardText),
  end: fc.constantFrom(undefined, undefined, undefined, false, true),
}).map((event) => encodeUtf8(JSON.stringify(event)));
const badLine = fc.constantFrom(
  "",
  " \t",
  "{}",
  '{"channel":"c"',
  '{"channel":"c","payload":1,"x":1}',
  "[".repeat(600),
).map(encodeUtf8);
const bytes = fc.uint8Array({ maxLength: 4 });

/** Joins parts, each with a break after it. */
function join(parts: [part: Uint8Array, end: string][]): Uint8Array {
  return new Uint8Array(parts.flatMap(([part, end]) => [...part, ...encodeUtf8(end)]));
}

const ndjson = fc.array(
  fc.tuple(
    fc.oneof({ weight: 8, arbitrary: jsonLine }, badLine, bytes),
    fc.constantFrom("\n", "\n", "\r\n", "\n\n", ""),
  ),
).map(join);

const stream = fc.array(
  fc.tuple(
    fc.oneof(
      awkwardText.map((text) => encodeUtf8(`data: ${text}`)),
      awkwardText.map((text) => encodeUtf8(`event: ${text}`)),
      jsonLine.map((json) => join([[encodeUtf8("data: "), ""], [json, ""]])),
      fc.constantFrom("event: error", "event: runnel.live", ": c", "id: 1", "data").map(encodeUtf8),
      bytes,
    ),
    fc.constantFrom("\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r"),
  ),
).map(join);

for (const [contentType, body] of [[NDJSON, ndjson], [STREAM, stream]] as const) {
  Deno.test(`a body of ${contentType} has the same events and error, however it is cut`, () => {
    let events = 0;
    let errors = 0;
    fc.assert(
      fc.property(body, fc.array(fc.nat()), (body, places) => {
        const whole = read(contentType, [body]);
        deepEqual(read(contentType, cutBytewise(body)), whole);
        deepEqual(read(contentType, cut(body, places)), whole);
        events += whole.filter(({ length }) => length === 3).length;
        errors += Number(whole.at(-1)?.length === 1);
      }),
      repetitions(200),
    );
    // Both occur.
    equal(events > 60 && errors > 20, true, `${events} events, ${errors} errors`);
  });

  Deno.test(`a reader of ${contentType} holds no more than it was given, and yields at once`, () => {
    const event = contentType === NDJSON ? '{"channel":"c","payload":1}\n' : "data: 1\n\n";
    const reader = open(contentType);
    for (let times = 0; times < 3; times++) {
      const counts = cutBytewise(encodeUtf8(event)).map((byte) => [...reader.read(byte)].length);
      deepEqual([counts.indexOf(1), counts.filter(Boolean).length], [event.length - 1, 1]);
      equal(reader.heldBytes, 0);
    }
  });
}

const SIZE = 64 * 1024;

/** Returns a body of about 64 KiB, as one event or as many. */
const bodies: [name: string, contentType: string, body: string][] = [
  ["one line", NDJSON, `{"channel":"c","payload":"${"a".repeat(SIZE - 40)}"}\n`],
  ["short lines", NDJSON, '{"channel":"c","payload":1}\n'.repeat(SIZE / 28)],
  ["one block of one line", STREAM, `data: ${"a".repeat(SIZE - 10)}\n\n`],
  ["one block of short lines", STREAM, `${"data: a\n".repeat(SIZE / 8)}\n`],
  ["short blocks", STREAM, "data: 1\n\n".repeat(SIZE / 9)],
];

for (const [name, contentType, body] of bodies) {
  Deno.test(`64 KiB of ${contentType} as ${name}, byte by byte, take linear work`, () => {
    const pieces = cutBytewise(encodeUtf8(body));
    const reader = open(contentType, SIZE);
    let payloadBytes = 0;
    const touched = countTouchedBytes(() => {
      for (const piece of pieces) {
        for (const { event } of reader.read(piece)) payloadBytes += event.payload.length;
      }
    });
    equal(payloadBytes > 0, true);
    equal(touched <= 8 * pieces.length, true, String(touched / pieces.length));
  });
}
