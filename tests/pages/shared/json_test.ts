import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { layOutJson, splitJson, tokenizeJson } from "../../../lib/pages/shared/json.js";

function formatJson(text: string): string {
  return layOutJson(text).text;
}

Deno.test("layOutJson() keeps numbers, order and duplicates of keys exactly as sent", () => {
  const text = '{"a":12345678901234567890,"2":[1.0,1e400,-0],"1":{},"a":[[]],"__proto__":{"b":1}}';
  const laidOut = '{\n  "a": 12345678901234567890,\n  "2": [1.0, 1e400, -0],\n  "1": {},\n' +
    '  "a": [[]],\n  "__proto__": { "b": 1 }\n}';
  equal(formatJson(text), laidOut);
});

Deno.test("layOutJson() changes no value", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify(value);
    equal(JSON.stringify(JSON.parse(formatJson(text))), JSON.stringify(JSON.parse(text)));
    equal(formatJson(formatJson(text)), formatJson(text));
  }));
});

Deno.test("layOutJson() breaks long values only", () => {
  const long = "x".repeat(60);
  equal(
    formatJson(JSON.stringify({ id: 12, tags: ["a", "b"], none: {}, text: long })),
    `{\n  "id": 12,\n  "tags": ["a", "b"],\n  "none": {},\n  "text": "${long}"\n}`,
  );
});

Deno.test("layOutJson() returns text that is not JSON, and lays out the deepest payload", () => {
  for (const text of ["Hello there", " a: b ", '"a, b"', "12.0", ""]) equal(formatJson(text), text);
  const deep = "[".repeat(512) + "]".repeat(512);
  equal(formatJson(deep).replace(/\s/g, ""), deep);
});

Deno.test("layOutJson() lays out the beginning of a text, wherever it was cut", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.nat(), (value, cut) => {
    const beginning = JSON.stringify([value]).slice(0, cut % 200);
    equal(formatJson(beginning).replace(/\s/g, ""), beginning.replace(/\s/g, ""));
  }));
});

Deno.test("layOutJson() counts its lines, and stops after the maximum", () => {
  const text = JSON.stringify(Array.from({ length: 100 }, (_, n) => n));
  equal(layOutJson(text).lines, 102);
  deepEqual(layOutJson(text, 3), { text: "[\n  0,\n  1,\n  ", lines: 4 });
});

Deno.test("layOutJson() needs no more than a multiple of the length for deep payloads", () => {
  const depth = 500;
  const items = Array(30_000).fill("1").join(",");
  const deep = "[".repeat(depth) + items + "]".repeat(depth);
  const { text, lines } = layOutJson(deep);
  equal(lines, 2 * depth + 30_000);
  ok(text.length < 70 * lines, `${text.length}`);
});

Deno.test("splitJson() returns the texts of items, which together are the value", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.boolean(), (value, isSpaced) => {
    const text = (value: unknown) => JSON.stringify(value, null, isSpaced ? 1 : 0);
    if (typeof value !== "object" || value === null) {
      throws(() => splitJson(text(value)), SyntaxError);
      return;
    }
    const items = splitJson(text(value)).map(([key, item]) => [key, JSON.parse(item)]);
    deepEqual(
      Array.isArray(value) ? items.map(([, item]) => item) : Object.fromEntries(items),
      JSON.parse(text(value)),
    );
  }));
});

Deno.test("splitJson() keeps each text as sent, and refuses what is no array or object", () => {
  deepEqual(splitJson('{"a,\\"]":[1.0,{"b":"]"}],"c":-0,"a":1e400} '), [
    ['a,"]', '[1.0,{"b":"]"}]'],
    ["c", "-0"],
    ["a", "1e400"],
  ]);
  for (const text of ["", "<h1>Bad Gateway</h1>", '"a"', "1", "[1", '{"a":[', '["a]']) {
    throws(() => splitJson(text), SyntaxError, text);
  }
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
