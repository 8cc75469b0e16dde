import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { JsonScanner, textOf } from "../../lib/http/json_scanner.ts";
import { HostileJson } from "../support/generators/hostile_json.ts";
import { expectedPayload } from "../support/generators/json_text.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";

/** Seed and number of the cases. Another number runs more of them. */
const SEED = Number(Deno.env.get("JSON_SEED") ?? 1);
const CASES = Number(Deno.env.get("JSON_CASES") ?? 6000);

/** Returns the text of a whole value without space, or `null` if it is invalid. */
function scan(bytes: Uint8Array): string | null {
  try {
    const scanner = new JsonScanner(bytes);
    const value = scanner.value();
    scanner.expectEnd();
    return decodeUtf8(textOf(bytes, value));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Returns whether `JSON.parse` accepts a text. */
function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Decodes UTF-8 as the service does, or returns `null`. */
function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Asserts that a text is accepted if `JSON.parse` accepts it, and means the same then. */
function compare(bytes: Uint8Array): boolean {
  const text = decode(bytes);
  if (text === null) return false;
  const scanned = scan(bytes);
  equal(scanned !== null, parses(text), text);
  if (scanned === null) return false;
  equal(JSON.stringify(JSON.parse(scanned)), JSON.stringify(JSON.parse(text)), text);
  equal(scanned, expectedPayload(text), text);
  return true;
}

Deno.test(`JsonScanner accepts what JSON.parse() accepts, in ${CASES} cases of seed ${SEED}`, () => {
  const random = new SeededRandom(SEED);
  const json = new HostileJson(random);
  let accepted = 0;
  for (let i = 0; i < CASES; i++) {
    const bytes = encodeUtf8(json.value(random.integer(0, 5)));
    equal(compare(bytes), true);
    if (compare(json.mutate(bytes))) accepted++;
  }
  // Both kinds occur among the mutations.
  equal(accepted > CASES / 20 && accepted < CASES * 0.95, true, String(accepted));
});

/** Characters of which the short texts consist. */
const ALPHABET = [...'{}[]",:\\u0-1.eE+tfn \n', "é", "\0"];

Deno.test("JsonScanner accepts what JSON.parse() accepts, of all texts of three characters", () => {
  for (const a of ALPHABET) {
    for (const b of ALPHABET) {
      for (const c of ["", ...ALPHABET]) compare(encodeUtf8(a + b + c));
    }
  }
});

Deno.test("JsonScanner accepts what JSON.parse() accepts, with each byte at each place", () => {
  const sample = encodeUtf8('[-1.5e+3,{"a\\u00e9":true,"":null}]');
  for (let at = 0; at < sample.length; at++) {
    for (let byte = 0; byte < 256; byte++) compare(sample.with(at, byte));
    compare(sample.subarray(0, at));
  }
});

const texts: [name: string, text: string][] = [
  ["nothing", ""],
  ["space alone", " \n"],
  ["a byte order mark", "\ufeff1"],
  ["space of Unicode", "\u00a01"],
  ["a form feed", "\f1"],
  ["a vertical tab", "1\v"],
  ["U+2028", "\u20281"],
  ["trailing text", "1 2"],
  ["a trailing comma", "[1,]"],
  ["a leading comma", "[,1]"],
  ["two commas", "[1,,2]"],
  ["a comma in an empty object", "{,}"],
  ["a trailing comma in an object", '{"a":1,}'],
  ["a key without a value", '{"a"}'],
  ["a key without quotes", "{a:1}"],
  ["a number as a key", "{1:1}"],
  ["two colons", '{"a"::1}'],
  ["a colon in an array", '["a":1]'],
  ["the wrong end of an array", "[1}"],
  ["the wrong end of an object", '{"a":1]'],
  ["an end alone", "]"],
  ["an end too many", "[]]"],
  ["a comment", "/**/1"],
  ["a plus", "+1"],
  ["a point first", ".5"],
  ["a point last", "5."],
  ["two zeros", "00"],
  ["a zero and a digit", "-01"],
  ["a minus alone", "-"],
  ["an exponent without digits", "1e"],
  ["an exponent with a sign alone", "1E+"],
  ["hexadecimal", "0x1"],
  ["a BigInt", "1n"],
  ["a separator", "1_000"],
  ["Infinity", "Infinity"],
  ["a literal in capitals", "True"],
  ["a literal cut off", "nul"],
  ["a literal and more", "nulls"],
  ["a string without an end", '"a'],
  ["a string that ends with a backslash", '"a\\'],
  ["an escaped end", '"a\\"'],
  ["an escape that does not exist", '"\\a"'],
  ["an escaped quote of another kind", '"\\\'"'],
  ["an escape in capitals", '"\\N"'],
  ["three digits of an escape", '"\\u123"'],
  ["an escape cut off", '"\\u12'],
  ["no hexadecimal digit", '"\\u00g0"'],
  ["hexadecimal digits in capitals", '"\\uABCD"'],
  ["a lone surrogate", '"\\udfff"'],
  ["a tab in a string", '"\t"'],
  ["DEL in a string", '"\x7f"'],
  ["a line break in a key", '{"\n":1}'],
  ["space everywhere", ' { "a" : [ 1 , "b c" ] } '],
];

for (const [name, text] of texts) {
  Deno.test(`JsonScanner accepts or rejects ${name} as JSON.parse() does`, () => {
    compare(encodeUtf8(text));
  });
}

Deno.test("JsonScanner returns where a value is, its depth, and the space inside", () => {
  const scanner = new JsonScanner(encodeUtf8(' [ {"a": [ ]},\t1 ] '));
  deepEqual(scanner.value(), { start: 1, end: 18, depth: 3, spaceBytes: 5 });
  scanner.expectEnd();
});

Deno.test("JsonScanner starts at an index", () => {
  const scanner = new JsonScanner(encodeUtf8("[1,2"), 3);
  deepEqual(scanner.value(), { start: 3, end: 4, depth: 0, spaceBytes: 0 });
});

Deno.test("JsonScanner counts 250,000 levels, and names the byte at which a text is invalid", () => {
  const levels = 250_000;
  const bytes = encodeUtf8("[".repeat(levels) + "]".repeat(levels));
  equal(new JsonScanner(bytes).value().depth, levels);
  throws(() => new JsonScanner(bytes.subarray(0, -1)).value(), {
    name: "SyntaxError",
    message: `Cannot read JSON: it is invalid at byte ${2 * levels - 1}`,
  });
});

Deno.test("textOf() copies: it does not keep the body in memory", () => {
  const bytes = encodeUtf8("[1,[2]]");
  const { buffer, byteLength } = textOf(bytes, { start: 3, end: 6, depth: 1, spaceBytes: 0 });
  deepEqual([buffer.byteLength, byteLength], [3, 3]);
});
