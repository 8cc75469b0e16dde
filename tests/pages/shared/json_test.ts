import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { formatJson, parseJson, tokenizeJson } from "../../../lib/pages/shared/json.js";

Deno.test("parseJson() keeps numbers exactly as sent", () => {
  const text = '{"a":12345678901234567890,"b":[1.0,1e400,-0],"__proto__":1}';
  equal(JSON.stringify(parseJson(text)), text);
  throws(() => parseJson("{"), SyntaxError);
});

Deno.test("formatJson() changes no value", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify(value);
    equal(JSON.stringify(JSON.parse(formatJson(text))), JSON.stringify(JSON.parse(text)));
  }));
});

Deno.test("formatJson() breaks long values only", () => {
  const long = "x".repeat(60);
  equal(
    formatJson(JSON.stringify({ id: 12, tags: ["a", "b"], none: {}, text: long })),
    `{\n  "id": 12,\n  "tags": ["a", "b"],\n  "none": {},\n  "text": "${long}"\n}`,
  );
});

Deno.test("formatJson() returns text that is not JSON, and formats the deepest payload", () => {
  equal(formatJson("Hello there"), "Hello there");
  const deep = "[".repeat(512) + "]".repeat(512);
  equal(formatJson(deep).replace(/\s/g, ""), deep);
});

Deno.test("tokenizeJson() keeps the whole text, and distinguishes keys from strings", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = formatJson(JSON.stringify(value));
    equal(tokenizeJson(text).map(({ text }) => text).join(""), text);
  }));
  const kinds = tokenizeJson('{ "a\\"": "b: c", "n": -1.5e3, "t": [true, null] }')
    .filter(({ kind }) => kind !== "mark").map(({ kind, text }) => `${kind} ${text}`);
  deepEqual(kinds, [
    'key "a\\""',
    'string "b: c"',
    'key "n"',
    "number -1.5e3",
    'key "t"',
    "word true",
    "word null",
  ]);
});
