/**
 * Bodies of publishes that cost as much as they can: the worst of each kind that is
 * known.
 *
 * @module
 */

import type { SeededRandom } from "./random.ts";

/** Maximum sizes of a body and of a payload, in bytes. */
export const MAX_BODY = 512 * 1024;
const MAX_PAYLOAD = 60 * 1024;

/** Media types of a body. */
export const JSON_TYPE = "application/json";
export const NDJSON_TYPE = "application/x-ndjson";

const HEAD = '{"pipeline":"p_slow","channel":"a","payload":';

/** Joins items until a text has its maximum size. */
export function fill(
  head: string,
  item: (index: number) => string,
  tail: string,
  { max = MAX_BODY, separator = "," } = {},
): string {
  const items: string[] = [];
  let length = head.length + tail.length;
  for (let index = 0;; index++) {
    const text = item(index);
    length += text.length + separator.length;
    if (length > max) return head + items.join(separator) + tail;
    items.push(text);
  }
}

/** Whole numbers as strings that V8 hashes to the same value, by Node's CVE-2026-21717. */
export function collide(random: SeededRandom, bits: number): (index: number) => string {
  const start = 1_000_000 + random.integer(0, 8000);
  return (index) => `"${(start + index * 2 ** bits) % 4_294_967_294}"`;
}

/** Returns an event with a payload as JSON text. */
export function event(payload: string, channel = "a"): string {
  return `{"pipeline":"p_slow","channel":${JSON.stringify(channel)},"payload":${payload}}`;
}

/** Returns bodies of `POST /ingest`, by kind, with their media type. */
export function slowBodies(random: SeededRandom): [kind: string, body: string, type?: string][] {
  const nest = "[".repeat(250_000) + "]".repeat(250_000);
  const events = (payload: (index: number) => string) =>
    Array.from({ length: 1000 }, (_, index) => event(payload(index)));
  const floats = `[${Array(110).fill("1.5").join(",")}]`;
  const objects = `[${Array(150).fill("{}").join(",")}]`;
  return [
    ...[13, 14, 15, 16].flatMap((bits): [string, string][] => [
      [`colliding strings, 2^${bits}`, fill(`${HEAD}[`, collide(random, bits), "]}")],
      [
        `colliding keys, 2^${bits}`,
        fill(`${HEAD}{`, (index) => `${collide(random, bits)(index)}:1`, "}}"),
      ],
      [
        `colliding keys of an event, 2^${bits}`,
        fill(`${HEAD}1,`, (index) => `${collide(random, bits)(index)}:1`, "}"),
      ],
      [
        `colliding channels, 2^${bits}`,
        `[${
          Array.from({ length: 1000 }, (_, index) => {
            return event("1", JSON.parse(collide(random, bits)(index)));
          })
        }]`,
      ],
    ]),
    ["fractions", fill(`${HEAD}[`, () => "1.5", "]}")],
    ["negative zeros", fill(`${HEAD}[`, () => "-0", "]}")],
    ["exponents", fill(`${HEAD}[`, () => "1e5", "]}")],
    ["one long number", `${HEAD}${"9".repeat(MAX_BODY - 60)}}`],
    ["small numbers", fill(`${HEAD}[`, () => "1", "]}")],
    ["empty arrays", fill(`${HEAD}[`, () => "[]", "]}")],
    ["arrays 500 deep", fill(`${HEAD}[`, () => "[".repeat(500) + "]".repeat(500), "]}")],
    ["arrays 250,000 deep", `${HEAD}${nest}}`],
    ["arrays 250,000 deep, cut off", `${HEAD}${nest.slice(0, -1)}`],
    ["unknown keys", fill(`${HEAD}1,`, (index) => `"${index.toString(36)}":1`, "}")],
    ["unknown keys, escaped", fill(`${HEAD}1,`, (index) => `"\\u0061${index}":1`, "}")],
    ["repeated keys", fill(`${HEAD}1,`, () => '"channel":"a"', "}")],
    ["one unknown key", `${HEAD}1,"${"k".repeat(MAX_BODY - 80)}":1}`],
    ["distinct keys", fill(`${HEAD}{`, (index) => `"${index.toString(36)}":1.5`, "}}")],
    ["falling whole keys", fill(`${HEAD}{`, (index) => `"${4294967294 - index * 9973}":1`, "}}")],
    ["spaces", HEAD.padEnd(MAX_BODY - 2) + "1}"],
    ["spaces in a payload", fill(`${HEAD}[`, () => " 1", "]}", { separator: "  ,\t" })],
    ["escapes", `${HEAD}"${"\\u0000".repeat(87_000)}"}`],
    ["backslashes", `${HEAD}"${"\\\\".repeat(260_000)}"}`],
    ["a long channel", `{"pipeline":"p_slow","channel":"${"c".repeat(520_000)}","payload":1}`],
    ["1,000 events", `[${events(() => `"${"x".repeat(450)}"`)}]`],
    ["1,000 events, NDJSON", events(() => `"${"x".repeat(450)}"`).join("\n"), NDJSON_TYPE],
    ["1,000 events of fractions", events(() => floats).join("\n"), NDJSON_TYPE],
    ["1,000 events of objects", events(() => objects).join("\n"), NDJSON_TYPE],
    [
      "1,000 events with escaped channels",
      `[${Array(1000).fill(event("1", "\u0001".repeat(70)))}]`,
    ],
    ["1,000 events, the last one invalid", `[${events(() => floats).with(-1, event("1", ""))}]`],
    ["8 large events", `[${Array(8).fill(event(`"${"x".repeat(MAX_PAYLOAD - 2)}"`))}]`],
    ["lines of one digit", "1\n".repeat(MAX_BODY / 2), NDJSON_TYPE],
    ["empty lines", "\n".repeat(MAX_BODY), NDJSON_TYPE],
    ["empty objects", fill("[", () => "{}", "]")],
    ["text of three bytes", `${HEAD}"${"€".repeat(170_000)}"}`],
  ];
}
