import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  encodeComment,
  encodeEvent,
  encodeRetry,
  type StreamEvent,
} from "../../lib/protocol/event_stream.ts";
import { type StreamItem, StreamReader } from "../support/clients/stream_reader.ts";
import { awkwardLine, awkwardText } from "../support/generators/awkward_text.ts";
import { cut } from "../support/generators/cut.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";
import { repetitions } from "../support/model/repetitions.ts";

/** A block: its bytes, and the records that a client must read from them. */
interface Block {
  bytes: Uint8Array;
  said: StreamItem[];
}

const event: fc.Arbitrary<Block> = fc.record({
  id: awkwardLine,
  type: awkwardLine,
  data: fc.oneof(awkwardText, awkwardText.map(encodeUtf8)),
}, { requiredKeys: [] }).map((event) => ({ bytes: encodeEvent(event), said: expected(event) }));

const comment: fc.Arbitrary<Block> = fc.record({
  text: awkwardLine,
  id: fc.option(awkwardLine, { nil: undefined }),
}).map(({ text, id }) => ({
  bytes: encodeComment(text, id),
  said: [{ kind: "comment", text: text.toWellFormed().replace(/^ /, "") }],
}));

const retry: fc.Arbitrary<Block> = fc.maxSafeNat()
  .map((ms) => ({ bytes: encodeRetry(ms), said: [{ kind: "retry", ms }] }));

function expected({ id, type, data }: StreamEvent): StreamItem[] {
  if (data === undefined) return [];
  const text = typeof data === "string" ? data.toWellFormed() : decodeUtf8(data);
  return [{
    kind: "event",
    id: id?.toWellFormed(),
    type: type?.toWellFormed() || "message",
    data: text.replace(/\r\n|\r/g, "\n"),
  }];
}

async function read(parts: Uint8Array[]): Promise<StreamItem[]> {
  // Deno 2.9 drops U+FEFF at the beginning of any part, as if a stream began there.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = new StreamReader(ReadableStream.from(parts), decoder);
  const said: StreamItem[] = [];
  for (let next = await reader.next(); next; next = await reader.next()) said.push(next);
  return said;
}

Deno.test("encodeEvent() returns bytes that a client decodes, for any text", async () => {
  await fc.assert(
    fc.asyncProperty(event, async ({ bytes, said }) => deepEqual(await read([bytes]), said)),
    repetitions(200),
  );
});

Deno.test("an event stream is decoded in order, wherever its bytes are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(event, comment, retry), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (blocks, places) => {
        const bytes = new Uint8Array(
          await new Blob(
            blocks.map(({ bytes }) => bytes as BlobPart),
          ).arrayBuffer(),
        );
        deepEqual(await read(cut(bytes, places)), blocks.flatMap(({ said }) => said));
      },
    ),
    repetitions(100),
  );
});

const written: [name: string, event: StreamEvent, text: string][] = [
  ["all fields", { id: "a-1", type: "t", data: "x" }, "event: t\ndata: x\nid: a-1\n\n"],
  ["bytes unchanged", { data: encodeUtf8('{"n":1.0}') }, 'data: {"n":1.0}\n\n'],
  ["empty data as a data line", { data: "" }, "data: \n\n"],
  ["an ID without data", { id: "a-1" }, "id: a-1\n\n"],
  ["an empty ID, which resets", { id: "", data: "x" }, "data: x\nid: \n\n"],
  ["a line for LF, CR and CRLF", { data: "a\nb\rc\r\nd" }, line("a", "b", "c", "d")],
  ["LF and CR as two breaks", { data: "a\n\rb" }, line("a", "", "b")],
  ["breaks at both ends", { data: "\na\r\n" }, line("", "a", "")],
  ["a CR at the very end", { data: "a\r" }, line("a", "")],
  ["U+2028 and U+0085 inside a line", { data: "a\u2028b\x85c" }, line("a\u2028b\x85c")],
  ["NUL in data", { data: "a\0b" }, line("a\0b")],
  ["NUL in a type", { type: "a\0b", data: "x" }, "event: a\0b\ndata: x\n\n"],
  ["a leading byte order mark", { data: "\ufeffa" }, line("\ufeffa")],
  ["leading spaces and colons", { data: "  : a" }, line("  : a")],
  ["a lone surrogate as U+FFFD", { data: "a\ud800" }, line("a\ufffd")],
];

function line(...lines: string[]): string {
  return lines.map((line) => `data: ${line}\n`).join("") + "\n";
}

for (const [name, event, text] of written) {
  Deno.test(`encodeEvent() writes ${name}`, () => equal(decodeUtf8(encodeEvent(event)), text));
}

for (const [name, bad] of [["CR", "\r"], ["LF", "\n"], ["CRLF", "\r\n"]]) {
  Deno.test(`encodeEvent() rejects ${name} in an ID or a type`, () => {
    throws(() => encodeEvent({ id: `a${bad}data: x` }), TypeError);
    throws(() => encodeEvent({ type: `a${bad}data: x`, data: "" }), TypeError);
  });

  Deno.test(`encodeComment() rejects ${name} in its text or ID`, () => {
    throws(() => encodeComment(`a${bad}data: x`), TypeError);
    throws(() => encodeComment("a", `1${bad}data: x`), TypeError);
  });
}

Deno.test("encodeEvent() rejects NUL in an ID, which clients would ignore", () => {
  throws(() => encodeEvent({ id: "a\0", data: "x" }), TypeError);
});

Deno.test("encodeComment() rejects NUL in an ID, which clients would ignore", () => {
  throws(() => encodeComment("keepalive", "a\0"), TypeError);
});

Deno.test("encodeComment() writes a comment, and an ID beside it without data", () => {
  equal(decodeUtf8(encodeComment("keepalive")), ":keepalive\n");
  equal(decodeUtf8(encodeComment("a\0b")), ":a\0b\n");
  equal(decodeUtf8(encodeComment("keepalive", "a-1")), ":keepalive\nid: a-1\n\n");
});

for (const ms of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
  Deno.test(`encodeRetry() rejects ${ms}, which clients would ignore`, () => {
    throws(() => encodeRetry(ms), RangeError);
  });
}

Deno.test("encodeRetry() writes only digits", () => {
  equal(decodeUtf8(encodeRetry(-0)), "retry: 0\n");
  equal(decodeUtf8(encodeRetry(2 ** 53 - 1)), "retry: 9007199254740991\n");
});
