import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { type StreamBlock, StreamParser } from "../../lib/client/stream_parser.ts";
import { cut, cutBytewise } from "../support/generators/cut.ts";
import { repetitions } from "../support/model/repetitions.ts";

const encoder = new TextEncoder();
const BOM = "\uFEFF";

/** The event `Hello`, as a client dispatches it. */
const HELLO = { id: "", type: "message", data: "Hello" };

/** Parses a stream in pieces, and returns its blocks that have data. */
function parse(pieces: readonly Uint8Array[], parser = new StreamParser()): StreamBlock[] {
  return pieces.flatMap((piece) => parser.push(piece)).filter(({ data }) => data !== null);
}

/**
 * Cases of the suites that browsers and other clients are tested with: `eventsource` of the Web
 * Platform Tests, and the contract tests of LaunchDarkly.
 */
const CASES: { name: string; text: string; events: Partial<StreamBlock>[]; retryMs?: number }[] = [
  { name: "one line", text: "data: Hello\n\n", events: [{}] },
  { name: "two lines", text: "data: Hello\ndata:World\n\n", events: [{ data: "Hello\nWorld" }] },
  { name: "two events", text: "data: Hello\n\ndata: a\n\n", events: [{}, { data: "a" }] },
  { name: "empty data", text: "data:\n\n", events: [{ data: "" }] },
  {
    name: "fields without a colon",
    text: "data\n\ndata\ndata\n\ndata:test\n\n",
    events: [{ data: "" }, { data: "\n" }, { data: "test" }],
  },
  { name: "no space", text: "event:a\ndata:Hello\n\n", events: [{ type: "a" }] },
  {
    name: "two spaces",
    text: "event:  a\ndata:  Hello\n\n",
    events: [{ type: " a", data: " Hello" }],
  },
  { name: "a tab", text: "data:\ta\n\n", events: [{ data: "\ta" }] },
  { name: "a space before the name", text: " data: a\ndata: Hello\n\n", events: [{}] },
  { name: "a colon in the value", text: "data: a:b: c\n\n", events: [{ data: "a:b: c" }] },
  { name: "unknown fields", text: "color: blue\ndatas: a\ndat\ndata: Hello\n\n", events: [{}] },
  { name: "names in capitals", text: "DATA: a\nData: b\ndata: Hello\n\n", events: [{}] },
  {
    name: "any order of fields",
    text: "data: Hello\nid: a\nevent: b\n\n",
    events: [{ id: "a", type: "b" }],
  },
  {
    name: "the last of two types",
    text: "event: a\nevent: b\ndata: Hello\n\n",
    events: [{ type: "b" }],
  },
  { name: "an empty type", text: "event: a\nevent:\ndata: Hello\n\n", events: [{}] },
  {
    name: "a type for one event",
    text: "event: a\ndata: Hello\n\ndata: Hello\n\n",
    events: [{ type: "a" }, {}],
  },
  { name: "a type without data", text: "event: a\n\ndata: Hello\n\n", events: [{}] },
  { name: "no end", text: "data: Hello\n\ndata: a\n", events: [{}] },
  { name: "no line end", text: "data: Hello\n\ndata: a", events: [{}] },
  {
    name: "an ID that stays",
    text: "id: a\ndata: Hello\n\ndata: Hello\n\n",
    events: [{ id: "a" }, { id: "a" }],
  },
  {
    name: "an ID that changes",
    text: "id: a\ndata: Hello\n\nid: b\ndata: Hello\n\n",
    events: [{ id: "a" }, { id: "b" }],
  },
  {
    name: "an empty ID",
    text: "id: a\ndata: Hello\n\nid\ndata: Hello\n\n",
    events: [{ id: "a" }, { id: "" }],
  },
  { name: "an ID with U+0000", text: "id: a\nid: b\0c\ndata: Hello\n\n", events: [{ id: "a" }] },
  { name: "an ID of U+0000", text: "id: \0\0\ndata: Hello\n\n", events: [{}] },
  {
    name: "an ID of a block without data",
    text: "id: a\n\ndata: Hello\n\n",
    events: [{ id: "a" }],
  },
  { name: "U+0000 in data", text: "data: \0\n\n", events: [{ data: "\0" }] },
  { name: "a byte order mark", text: `${BOM}data: Hello\n\n`, events: [{}] },
  { name: "two byte order marks", text: `${BOM}${BOM}data: a\n\ndata: Hello\n\n`, events: [{}] },
  {
    name: "byte order marks in data",
    text: `${BOM}data: ${BOM}a\n\ndata:${BOM}\n\n${BOM}data: b\n\n`,
    events: [{ data: `${BOM}a` }, { data: BOM }],
  },
  { name: "a comment after a byte order mark", text: `${BOM}:a\ndata: Hello\n\n`, events: [{}] },
  {
    name: "comments",
    text: `data:1\r:\0\n:\r\ndata:2\n:${"x".repeat(2048)}\rdata:3\n:data:fail\rdata:4\n\n`,
    events: [{ data: "1\n2\n3\n4" }],
  },
  { name: "a comment alone", text: ":\n\n:a\n\n\ndata: Hello\n\n", events: [{}] },
  { name: "characters of several bytes", text: "data: €豆腐😀\n\n", events: [{ data: "€豆腐😀" }] },
  {
    name: "separators of Unicode",
    text: "data: a\u2028b\u0085c\u000bd\n\n",
    events: [{ data: "a\u2028b\u0085c\u000bd" }],
  },
  { name: "blank lines", text: "\n\n\ndata: Hello\n\n\n\n\ndata: Hello\n\n", events: [{}, {}] },
  {
    name: "empty lines of data",
    text: "data:\ndata: 2\ndata: 3\n\ndata: 1\ndata:\ndata: 3\n\n",
    events: [{ data: "\n2\n3" }, { data: "1\n\n3" }],
  },
  {
    name: "CRLF and CR in turns",
    text: "data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\r\ndata: e\r\n\r\n",
    events: [{ data: "a\nb\nc" }, { data: "d" }, { data: "e" }],
  },
  { name: "LF CR LF", text: "data: a\n\r\ndata: b\r\n\n", events: [{ data: "a" }, { data: "b" }] },
  {
    name: "a reconnection time",
    text: "retry: 3000\ndata: Hello\n\n",
    events: [{}],
    retryMs: 3000,
  },
  { name: "one without an event", text: "retry:03000\n", events: [], retryMs: 3000 },
  {
    name: "reconnection times that are none",
    text: "retry: 2000\nretry: 1000x\nretry: -1\nretry: 1.5\nretry:\nretry: 1e3\ndata: Hello\n\n",
    events: [{}],
    retryMs: 2000,
  },
];

for (const { name, text, events, retryMs } of CASES) {
  Deno.test(`StreamParser.push() parses ${name}, cut anywhere`, () => {
    const bytes = encoder.encode(text);
    const expected = events.map((event) => ({ ...HELLO, ...event }));
    const ways = Array.from(bytes, (_, at) => cut(bytes, [at]));
    for (const pieces of [[bytes], cutBytewise(bytes), ...ways]) {
      const parser = new StreamParser();
      deepEqual(parse(pieces, parser), expected);
      equal(parser.retryMs, retryMs ?? null);
    }
  });
}

for (const end of ["\n", "\r", "\r\n"]) {
  Deno.test(`StreamParser.push() takes ${JSON.stringify(end)} for the end of a line`, () => {
    for (const { text, events } of CASES) {
      if (text.includes("\r")) continue;
      const bytes = encoder.encode(text.replaceAll("\n", end));
      const expected = events.map((event) => ({ ...HELLO, ...event }));
      for (const pieces of [[bytes], cutBytewise(bytes)]) deepEqual(parse(pieces), expected);
    }
  });
}

for (const size of [1, 1023, 1024, 1025, 4094, 4096, 8195, 65_536, 1_048_000]) {
  Deno.test(`StreamParser.push() takes data of ${size} characters`, () => {
    const data = "x".repeat(size);
    const bytes = encoder.encode(`data: ${data}\n\n`);
    const places = Array.from({ length: bytes.length >> 10 }, (_, index) => index << 10);
    deepEqual(parse(cut(bytes, places)), [{ ...HELLO, data }]);
  });
}

for (
  const [name, text] of [
    ["a line", "x"],
    ["data", "x".repeat(1023)],
    ["an event", `data: ${"x".repeat(1023)}\n`],
  ] as const
) {
  Deno.test(`StreamParser.push() throws for ${name} without an end, beyond 1 Mi characters`, () => {
    const parser = new StreamParser();
    parser.push(encoder.encode("data: "));
    const piece = encoder.encode(text.repeat(Math.ceil(65_536 / text.length)));
    let length = 0;
    throws(() => {
      for (; length < 4 * 1024 * 1024; length += piece.length) deepEqual(parser.push(piece), []);
    }, /^Error: An event has no end$/);
    // It is bounded, and far beyond the events of the service.
    ok(length > 900_000 && length < 1_100_000, `${length}`);
  });
}

Deno.test("StreamParser.push() takes any number of comments and of ended events", () => {
  const parser = new StreamParser();
  const comment = encoder.encode(`:${"x".repeat(65_536)}\n`);
  const event = encoder.encode(`data: ${"x".repeat(65_536)}\n\n`);
  for (let i = 0; i < 40; i++) {
    deepEqual(parser.push(comment), []);
    equal(parser.push(event).length, 1);
  }
});

Deno.test("StreamParser.push() replaces bytes that are not UTF-8", () => {
  const bytes = [...encoder.encode("data: a"), 0xff, ...encoder.encode("b\n\n")];
  deepEqual(parse([new Uint8Array(bytes)]), [{ ...HELLO, data: "a\uFFFDb" }]);
});

Deno.test("StreamParser.push() begins with the ID of the connection before", () => {
  const parser = new StreamParser("a-1");
  deepEqual(parser.push(encoder.encode("data: Hello\n\n:\n\nid: a-2\n\n")), [
    { ...HELLO, id: "a-1" },
    { id: "a-1", type: "message", data: null },
    { id: "a-2", type: "message", data: null },
  ]);
});

/** Lines that streams consist of, and what is nearly one. */
const LINE = fc.oneof(
  fc.constantFrom("", "data", "data:", "data: a", "id: b", "id", "id: \0", "event: c", "event:"),
  fc.constantFrom("retry: 5", "retry: x", ":", ": d", "data: \uFEFF", "foo: e", " data: f"),
  fc.string({ unit: "binary", maxLength: 8 }).map((text) => text.replace(/[\r\n]/g, "")),
);

Deno.test("StreamParser.push() agrees with eventsource-parser, wherever the bytes are cut", () => {
  const line = fc.tuple(LINE, fc.constantFrom("\n", "\r", "\r\n")).map((parts) => parts.join(""));
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 30 }),
      fc.array(fc.nat(500), { maxLength: 20 }),
      (lines, places) => {
        const bytes = encoder.encode(lines.join(""));
        // It decodes as `fetch` does, so a lone surrogate is U+FFFD.
        const text = new TextDecoder().decode(bytes);
        const expected: StreamBlock[] = [];
        let id = "";
        const judge = createParser({
          onEvent(event) {
            expected.push({ id, type: event.event || "message", data: event.data });
          },
        });
        // The judge leaves it to its user to keep IDs: they are those of all blocks before.
        for (const block of blocksOf(text)) {
          for (const field of block) {
            const found = /^id(?:: ?([^]*))?$/.exec(field);
            if (found && !found[1]?.includes("\0")) id = found[1] ?? "";
          }
          judge.feed(`${block.join("\n")}\n\n`);
        }
        deepEqual(parse(cut(bytes, places)), expected);
      },
    ),
    repetitions(300),
  );
});

/** The lines of each block that has an end. */
function blocksOf(text: string): string[][] {
  const lines = text.split(/\r\n|\r|\n/).slice(0, -1);
  const blocks: string[][] = [[]];
  for (const line of lines) {
    if (line === "") blocks.push([]);
    else blocks.at(-1)!.push(line);
  }
  return blocks.slice(0, -1);
}
