import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { LineSplitter } from "../../lib/protocol/line_splitter.ts";
import { cut, cutBytewise } from "../support/generators/cut.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { countTouchedBytes } from "../support/touched_bytes.ts";

/** Lines with their numbers, the unfinished one last. */
type Lines = [number: number, text: string][];

function split(pieces: Uint8Array[], takesCr: boolean, maxLength: number = Infinity): Lines {
  const lines: Lines = [];
  const splitter = new LineSplitter({
    takesCr,
    checkLength: (bytes) => {
      if (bytes > maxLength) throw new RangeError(`line ${splitter.line} is too long`);
    },
  });
  const take = (line: Uint8Array) => void lines.push([splitter.line, decodeUtf8(line)]);
  for (const piece of pieces) for (const line of splitter.split(piece)) take(line);
  const { heldBytes } = splitter;
  const rest = splitter.end();
  equal(rest.length <= heldBytes && splitter.heldBytes === 0, true);
  take(rest);
  return lines;
}

function texts(text: string, takesCr: boolean): string[] {
  return split([encodeUtf8(text)], takesCr).map(([, text]) => text);
}

/** Texts of what a splitter looks for. */
const text = fc.array(fc.constantFrom("\n", "\r", "\r\n", "a", "bc", "é", "\ufeff", "\u2028"))
  .map((parts) => parts.join(""));

Deno.test("LineSplitter yields the lines that a regular expression finds, however it is cut", () => {
  fc.assert(
    fc.property(text, fc.boolean(), fc.array(fc.nat()), (text, takesCr, places) => {
      const expected: Lines = text.replace(/^\ufeff/, "").split(takesCr ? /\r\n|\r|\n/ : "\n")
        .map((line, index) => [index + 1, line]);
      const bytes = encodeUtf8(text);
      deepEqual(split([bytes], takesCr), expected);
      deepEqual(split(cutBytewise(bytes), takesCr), expected);
      deepEqual(split(cut(bytes, places), takesCr), expected);
    }),
    repetitions(300),
  );
});

const breaks: [name: string, text: string, byLf: string[], byAll: string[]][] = [
  ["nothing", "", [""], [""]],
  ["LF", "a\nb\n", ["a", "b", ""], ["a", "b", ""]],
  ["CR", "a\rb", ["a\rb"], ["a", "b"]],
  ["CRLF", "a\r\nb", ["a\r", "b"], ["a", "b"]],
  ["LF and CR, which are two", "a\n\rb", ["a", "\rb"], ["a", "", "b"]],
  ["line breaks of Unicode, which are none", "a\u2028\x85\u2029\v\fb", ["a\u2028\x85\u2029\v\fb"], [
    "a\u2028\x85\u2029\v\fb",
  ]],
  ["a byte order mark", "\ufeffa\nb", ["a", "b"], ["a", "b"]],
  ["a byte order mark alone", "\ufeff", [""], [""]],
  ["two byte order marks", "\ufeff\ufeffa", ["\ufeffa"], ["\ufeffa"]],
  ["a byte order mark on a later line", "a\n\ufeffb", ["a", "\ufeffb"], ["a", "\ufeffb"]],
];

for (const [name, text, byLf, byAll] of breaks) {
  Deno.test(`LineSplitter splits ${name}`, () => {
    deepEqual([texts(text, false), texts(text, true)], [byLf, byAll]);
  });
}

Deno.test("LineSplitter yields a line at its CR, before it is known whether an LF follows", () => {
  const splitter = new LineSplitter({ takesCr: true, checkLength: () => {} });
  const next = (text: string) => [...splitter.split(encodeUtf8(text))].map(decodeUtf8);
  deepEqual(["a\r", "\n", "b\r", "\r", "\n", "\n"].map(next), [["a"], [], ["b"], [""], [], [""]]);
});

Deno.test("LineSplitter takes no byte more than the longest line, however it is cut", () => {
  const limit = 5;
  for (const [text, isGood] of [["aaaaa\nb\n", true], ["a\naaaaaa\n", false]] as const) {
    const bytes = encodeUtf8(text);
    for (const pieces of [[bytes], cutBytewise(bytes), cut(bytes, [3]), cut(bytes, [7])]) {
      if (isGood) deepEqual(split(pieces, false, limit).length, 3);
      else throws(() => split(pieces, false, limit), { message: "line 2 is too long" });
    }
  }
});

Deno.test("LineSplitter refuses an endless line at the first byte that is too many", () => {
  const checked: number[] = [];
  const splitter = new LineSplitter({
    takesCr: false,
    checkLength: (bytes) => {
      checked.push(bytes);
      if (bytes > 3) throw new RangeError();
    },
  });
  throws(() => {
    for (;;) splitter.split(encodeUtf8("a")).next();
  }, RangeError);
  deepEqual([checked, splitter.heldBytes], [[1, 2, 3, 4], 3]);
});

const SIZE = 64 * 1024;

const bodies: [name: string, body: Uint8Array][] = [
  ["one line", new Uint8Array(SIZE).fill(97)],
  ["lines of LF", encodeUtf8("a\n".repeat(SIZE / 2))],
  ["lines of CR", encodeUtf8("a\r".repeat(SIZE / 2))],
  ["empty lines", encodeUtf8("\n".repeat(SIZE))],
];

for (const [name, body] of bodies) {
  Deno.test(`LineSplitter looks at each byte of ${name} five times at most`, () => {
    for (const pieces of [[body], cutBytewise(body), cut(body, [1, SIZE / 2])]) {
      const splitter = new LineSplitter({ takesCr: true, checkLength: () => {} });
      const touched = countTouchedBytes(() => {
        for (const piece of pieces) for (const _ of splitter.split(piece));
      });
      equal(touched <= 5 * body.length, true, `${pieces.length} pieces: ${touched}`);
    }
  });
}

Deno.test("LineSplitter holds a copy of an unfinished line, not its piece", () => {
  const piece = encodeUtf8(`${"a".repeat(64 * 1024)}\nbc`);
  const splitter = new LineSplitter({ takesCr: false, checkLength: () => {} });
  equal([...splitter.split(piece)].length, 1);
  equal(splitter.heldBytes, 2);
  piece.fill(0);
  const rest = splitter.end();
  deepEqual([decodeUtf8(rest), rest.buffer.byteLength], ["bc", 1024]);
});
