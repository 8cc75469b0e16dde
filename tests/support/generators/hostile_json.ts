/**
 * Unusual JSON, and invalid JSON.
 *
 * @module
 */

import type { SeededRandom } from "./random.ts";
import { encodeUtf8 } from "./text.ts";

const NUMBERS = [
  ..."0 -0 1 -1 1.0 -0.0 1e5 1E+05 1e-400 1e400 0.1e1 123456789012345678901234567890".split(" "),
  "9007199254740993",
  "-1.5e-7",
  "5e-324",
  "0." + "0".repeat(30) + "1",
];

const STRINGS = [
  '""',
  '"x"',
  '"\\u0000"',
  '"\\r\\nid: 9\\ndata: y\\n\\n"',
  '"\\ud800"',
  '"\\ud83d\\ude00\\/"',
  '"é€😀"',
  '"\u2028\u2029\u0085"',
  '"\ufeff"',
  '"1.0"',
  '"__proto__"',
];

const KEYS = [
  ..."a b 0 1 10 01 4294967294 4294967295 __proto__ constructor prototype toString then".split(" "),
  "rawJSON",
  "toJSON",
  "\\u005f_proto__",
  "",
  "é",
];

const CHANNELS = [
  "events",
  "a b",
  "é😀",
  "\u2028",
  "data: x",
  "__proto__",
  "toString",
  "x".repeat(128),
];

/** Channels that must be rejected. */
const BAD_CHANNELS = [
  "",
  "error",
  "open",
  "runnel.live",
  "a\nb",
  "a\r\nid: 7",
  "\0",
  "\ud800",
  "x".repeat(129),
];

/** Generates bodies from random choices. */
export class HostileJson {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Random JSON value. */
  value(depth: number = 4): string {
    const random = this.#random;
    const kind = random.integer(0, depth > 0 ? 6 : 3);
    if (kind === 0) return random.pick(["true", "false", "null"]);
    if (kind === 1) return random.pick(NUMBERS);
    if (kind === 2) return String(random.integer(-1e6, 1e6));
    if (kind === 3) return random.pick(STRINGS);
    const values = Array.from({ length: random.integer(0, 4) }, () => this.value(depth - 1));
    if (kind === 4) return `[${values.join(`${this.#space()},`)}${this.#space()}]`;
    const members = values.map((value) => `"${random.pick(KEYS)}"${this.#space()}:${value}`);
    return `{${this.#space()}${members.join(",")}}`;
  }

  /** Value that costs more than its size suggests. */
  bomb(): string {
    const random = this.#random;
    const levels = random.pick([511, 512, 513, 5000, 100_000]);
    const nest = (open: string, close: string, inner = "1.0") =>
      open.repeat(levels) + inner + close.repeat(levels);
    return random.pick([
      () => nest("[", "]"),
      () => nest('{"a":', "}").slice(0, 500_000),
      () => nest('[{"__proto__":', "}]").slice(0, 500_000),
      () => "[".repeat(levels),
      () => "9".repeat(random.pick([400, 60_000, 400_000])),
      () => `0.${"1".repeat(random.pick([400, 60_000]))}`,
      () => `1e${"9".repeat(random.pick([3, 400, 50_000]))}`,
      () => `[${Array(random.pick([1000, 30_000, 200_000])).fill("0").join(",")}]`,
      () => `[${Array(random.pick([1000, 15_000])).fill("1.0").join(",")}]`,
      () => `{${Array(random.pick([100, 20_000])).fill('"a":1').join(",")}}`,
      () => `{${Array.from({ length: random.pick([100, 5000]) }, (_, i) => `"k${i}":1.0`)}}`,
      () => `{${Array(random.pick([100, 5000])).fill('"__proto__":{"a":1.0}').join(",")}}`,
      () => `"${"\\u0000".repeat(random.pick([1000, 10_000, 10_241]))}"`,
      () => `"${"€".repeat(random.pick([20_000, 20_480, 21_000]))}"`,
      () => `"${"\\".repeat(random.pick([1001, 60_000]))}"`,
    ])();
  }

  /** Channel as JSON, valid more often than not. */
  channel(): string {
    const random = this.#random;
    return JSON.stringify(random.pick(random.chance(0.85) ? CHANNELS : BAD_CHANNELS));
  }

  /** JSON text of one event. */
  event(pipeline: string, payload: string = this.value()): string {
    const random = this.#random;
    const members = [
      `"pipeline":${JSON.stringify(pipeline)}`,
      `"channel":${this.channel()}`,
      `"payload":${this.#space()}${payload}`,
    ];
    if (random.chance(0.1)) members.unshift(random.pick(members));
    if (random.chance(0.05)) members.unshift('"payload":[[1.0],{"a":2.0}]');
    if (random.chance(0.05)) members.push(`"${random.pick(KEYS)}":${this.value(2)}`);
    if (random.chance(0.05)) members.splice(random.integer(0, 2), 1);
    return `{${random.shuffled(members).join(`,${this.#space()}`)}}`;
  }

  /** Body for `POST /ingest`. */
  body(pipeline: string, isNdjson: boolean): string {
    const random = this.#random;
    const events = Array.from(
      { length: random.pick([1, 1, 1, 2, 5, 40]) },
      () => this.event(pipeline),
    );
    if (random.chance(0.15)) events.push(this.event(pipeline, this.bomb()));
    if (random.chance(0.01)) {
      while (events.length < random.pick([1000, 1001, 5000])) {
        events.push(this.event(pipeline, "1"));
      }
    }
    if (isNdjson) return events.join(random.pick(["\n", "\r\n", "\n\n", "\n \n"]));
    return events.length === 1 && random.chance(0.7) ? events[0]! : `[${events.join(",")}]`;
  }

  /** Body for `POST /ingest` with a mistake. */
  mutate(bytes: Uint8Array): Uint8Array {
    const random = this.#random;
    let list = [...bytes.subarray(0, 20_000)];
    for (let times = random.integer(1, 4); times > 0; times--) {
      const at = random.integer(0, list.length);
      const some = random.pick([
        [0],
        [0xff],
        [0xc0, 0x80],
        [0xed, 0xa0, 0x80],
        [0xef, 0xbb, 0xbf],
        [0xfe, 0xff],
        [10],
        [13, 10],
        [random.integer(0, 255)],
        [...encodeUtf8(random.pick(['"', "{", "}", "[", "]", ",", ":", "\\", "1", "-", "null"]))],
      ]);
      const change = random.integer(0, 4);
      if (change === 0) list = list.slice(0, at);
      else if (change === 1) list.splice(at, some.length, ...some);
      else if (change === 2) list.splice(at, 0, ...some);
      else if (change === 3) list.splice(at, random.integer(1, 5));
      else list = [...some, ...list];
    }
    return Uint8Array.from(list);
  }

  #space(): string {
    return this.#random.chance(0.1) ? this.#random.pick([" ", "\t", "\r\n", "  "]) : "";
  }
}

/** Nested arrays. */
export function nest(levels: number): unknown[] {
  let value: unknown[] = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}
