import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { escapeLineSeparators } from "../../lib/protocol/line_separators.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";

for (
  const [name, value, text] of [
    ["U+0085", "a\u0085b", '"a\\u0085b"'],
    ["U+2028", "\u2028", '"\\u2028"'],
    ["U+2029 in a key, twice", { "\u2029\u2029": 1 }, '{"\\u2029\\u2029":1}'],
    ["neighbors of them", "\u0084\u0086\u2027\u202a\u00e2", '"\u0084\u0086\u2027\u202a\u00e2"'],
  ] as const
) {
  Deno.test(`escapeLineSeparators() leaves only escapes of ${name}`, () => {
    equal(decodeUtf8(escapeLineSeparators(encodeUtf8(JSON.stringify(value)))), text);
  });
}

Deno.test("escapeLineSeparators() changes no value, and leaves no separator", () => {
  const text = fc.string({
    unit: fc.constantFrom(
      "a",
      "\u0085",
      "\u2028",
      "\u2029",
      "é",
      "\u2026",
      "\\",
      '"',
      "😀",
      "\u00c2",
    ),
  });
  fc.assert(fc.property(fc.dictionary(text, fc.oneof(text, fc.array(text))), (value) => {
    const escaped = decodeUtf8(escapeLineSeparators(encodeUtf8(JSON.stringify(value))));
    deepEqual(JSON.parse(escaped), JSON.parse(JSON.stringify(value)));
    equal(/[\u0085\u2028\u2029]/.test(escaped), false);
  }));
});

Deno.test("escapeLineSeparators() returns the same bytes if there is nothing to escape", () => {
  const json = encodeUtf8('{"a":"é…"}');
  equal(escapeLineSeparators(json), json);
});
