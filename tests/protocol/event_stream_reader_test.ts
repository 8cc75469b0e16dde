import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { EventStreamReader } from "../../lib/protocol/event_stream_reader.ts";
import { awkwardText } from "../support/generators/awkward_text.ts";
import { cut, cutBytewise } from "../support/generators/cut.ts";
import { encodeUtf8 } from "../support/generators/text.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { countTouchedBytes } from "../support/touched_bytes.ts";

interface Event {
  type: string;
  data: string;
}

/** Decodes as the standard does: invalid bytes become U+FFFD. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function read(pieces: Uint8Array[]): Event[] {
  const reader = new EventStreamReader(() => {});
  const events: Event[] = [];
  for (const piece of pieces) {
    for (const { type, data } of reader.read(piece)) {
      events.push({ type: decoder.decode(type), data: decoder.decode(data) });
    }
  }
  return events;
}

/** Reads a stream with a third-party parser. */
function readWithParser(bytes: Uint8Array): Event[] {
  const events: Event[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ type: event ?? "", data }),
  });
  // Decoded without its mark. With another one, the parser does not take "ï»¿" for a mark.
  parser.feed("\ufeff" + new TextDecoder().decode(bytes));
  return events;
}

const field = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("data", "data", "event", "id", "") },
  fc.constantFrom("dat", "datas", "Data", "events", " data", "\ufeffdata", "retry", "data\0"),
);
const line = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(field, fc.constantFrom(":", ": ", ":  ", ""), awkwardText) },
  { weight: 4, arbitrary: fc.constant(["", "", ""]) },
  fc.tuple(awkwardText, fc.constant(""), fc.constant("")),
);
const stream = fc.tuple(
  fc.constantFrom("", "", "\ufeff", "\ufeff\ufeff"),
  fc.array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")), { size: "medium" }),
).map(([mark, lines]) => mark + lines.map(([line, end]) => line.join("") + end).join(""));

/** Asserts that a stream is read as by a third-party parser, however it is cut. */
function compare(bytes: Uint8Array, places: number[]): number {
  const expected = readWithParser(bytes);
  deepEqual(read([bytes]), expected);
  deepEqual(read(cutBytewise(bytes)), expected);
  deepEqual(read(cut(bytes, places)), expected);
  return expected.length;
}

Deno.test("EventStreamReader reads any text as eventsource-parser does, however it is cut", () => {
  let events = 0;
  fc.assert(
    fc.property(
      fc.oneof({ weight: 9, arbitrary: stream }, awkwardText),
      fc.array(fc.nat()),
      (text, places) => {
        events += compare(encodeUtf8(text), places);
      },
    ),
    repetitions(200),
  );
  // Not all texts are without events.
  equal(events > 100, true, String(events));
});

Deno.test("EventStreamReader reads any bytes as eventsource-parser does, however they are cut", () => {
  const part = fc.oneof(
    fc.constantFrom("data: ", "event: ", "\n", "\n\n", "\r", "\r\n\r\n", "\ufeff").map(encodeUtf8),
    fc.uint8Array({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(part), fc.array(fc.nat()), (parts, places) => {
      compare(new Uint8Array(parts.flatMap((part) => [...part])), places);
    }),
    repetitions(400),
  );
});

const streams: [name: string, text: string, ...events: [type: string, data: string][]][] = [
  ["data alone", "data: a\n\n", ["", "a"]],
  ["a type", "event: t\ndata: a\n\n", ["t", "a"]],
  ["a type after the data", "data: a\nevent: t\n\n", ["t", "a"]],
  ["the last of two types", "event: t\nevent: u\ndata: a\n\n", ["u", "a"]],
  ["an empty type", "event: t\nevent\ndata: a\n\n", ["", "a"]],
  ["lines of data", "data: a\ndata:b\n: c\ndata\n\n", ["", "a\nb\n"]],
  ["empty data", "data\n\ndata:\n\n", ["", ""], ["", ""]],
  ["one space less", "data:  a \n\n", ["", " a "]],
  ["a colon in a value", "data: a: b\n\n", ["", "a: b"]],
  ["no tab less", "data:\ta\n\n", ["", "\ta"]],
  ["no type of a block without data", "event: t\n\ndata: a\n\n", ["", "a"]],
  ["no type of the block before", "event: t\ndata: a\n\ndata: b\n\n", ["t", "a"], ["", "b"]],
  ["no id, retry, comment or unknown field", "id: 1\nretry: 2\n:c\nx: 1\nx\n\n"],
  ["no field in capitals", "DATA: a\nEvent: t\n\n"],
  ["no field after a space", " data: a\n\n"],
  ["no block that is unfinished", "data: a\n\ndata: b\n", ["", "a"]],
  ["no line that is unfinished", "data: a\n\ndata: b", ["", "a"]],
  ["CR and CRLF", "data: a\r\rdata: b\r\n\r\n", ["", "a"], ["", "b"]],
  ["a byte order mark at the start alone", "\ufeffdata: a\n\n\ufeffdata: b\n\n", ["", "a"]],
];

for (const [name, text, ...events] of streams) {
  Deno.test(`EventStreamReader reads ${name}`, () => {
    const expected = events.map(([type, data]) => ({ type, data }));
    deepEqual(read([encodeUtf8(text)]), expected);
    compare(encodeUtf8(text), []);
  });
}

Deno.test("EventStreamReader names the line of the first event or data field of an event", () => {
  const reader = new EventStreamReader(() => {});
  const text = ": c\n\n: c\r\nid: 1\revent: t\ndata: a\ndata: b\n\n\n: c\n: c\ndata: c\n\n";
  const events = [...reader.read(encodeUtf8(text))];
  deepEqual([events.map(({ line }) => line), reader.line], [[5, 12], 14]);
});

Deno.test("EventStreamReader counts what it holds: the line, the type and the data", () => {
  const checked: number[] = [];
  const reader = new EventStreamReader((bytes) => void checked.push(bytes));
  const held = ["event: ab\n", "data: c\nda", "ta: d\n", ": comment", "\n", "id: 1\n", "\n"]
    .map((piece) => {
      for (const _ of reader.read(encodeUtf8(piece)));
      return reader.heldBytes;
    });
  deepEqual(held, [2, 5, 5, 14, 5, 5, 0]);
  equal(Math.max(...checked), 5 + ": comment".length);
});

Deno.test("EventStreamReader ends a block at the first byte that is too many", () => {
  const body = encodeUtf8("data: a\n".repeat(8));
  for (const pieces of [[body], cutBytewise(body), cut(body, [11, 30])]) {
    const reader = new EventStreamReader((bytes) => {
      if (bytes > 16) throw new RangeError(`line ${reader.line}`);
    });
    // Five lines of data and their breaks are 9 bytes; the sixth has 7.
    throws(() => {
      for (const piece of pieces) for (const _ of reader.read(piece));
    }, { message: "line 7" });
  }
});

Deno.test("EventStreamReader takes comments without an end", () => {
  const reader = new EventStreamReader((bytes) => equal(bytes <= 100, true));
  const piece = encodeUtf8(": keep-alive\n".repeat(100));
  for (let times = 0; times < 100; times++) deepEqual([...reader.read(piece)], []);
  equal(reader.heldBytes, 0);
});

Deno.test("EventStreamReader looks at each byte a fixed number of times, however it is cut", () => {
  const size = 64 * 1024;
  for (
    const body of [
      `data: ${"a".repeat(size)}`,
      "data\n".repeat(size / 5),
      "data: a\n\n".repeat(
        size / 9,
      ),
    ].map(encodeUtf8)
  ) {
    for (const pieces of [[body], cutBytewise(body)]) {
      const reader = new EventStreamReader(() => {});
      const touched = countTouchedBytes(() => {
        for (const piece of pieces) for (const _ of reader.read(piece));
      });
      equal(touched <= 10 * body.length, true, `${pieces.length} pieces: ${touched}`);
    }
  }
});
