import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import {
  MAX_CHANNEL_LENGTH,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
} from "../../lib/protocol/event_rules.ts";
import { serializeEvent } from "../../lib/workflow/serialized_event.ts";
import { nest } from "../support/generators/hostile_json.ts";

/** Serializes a value that TypeScript would refuse. */
const serialize = (event?: unknown) => serializeEvent(event as never);

Deno.test("serializeEvent() returns the event as it is, unaffected by later changes", () => {
  const event = { channel: "names", payload: { name: "Luke", friends: ["Han"] } };
  const serialized = serializeEvent(event);
  event.channel = "others";
  event.payload.friends.push("Leia");
  deepEqual(serialized, { channel: "names", payload: '{"name":"Luke","friends":["Han"]}' });
});

const missing: [event: unknown, names: string][] = [
  [undefined, "channel and payload are"],
  [null, "channel and payload are"],
  ["events", "channel and payload are"],
  [{}, "channel and payload are"],
  [{ channel: "events" }, "payload is"],
  [{ channel: "events", payload: undefined }, "payload is"],
  [{ payload: 1 }, "channel is"],
];

for (const [event, names] of missing) {
  Deno.test(`serializeEvent() refuses ${JSON.stringify(event)}: ${names} missing`, () => {
    throws(() => serialize(event), {
      name: "TypeError",
      message: `Cannot send: ${names} missing. Expected $.send.sse({ channel, payload })`,
    });
  });
}

const channels: [what: string, channel: unknown, problem: string][] = [
  ["null", null, "channel: expected a string, got null"],
  ["a number", 7, "channel: expected a string, got a value of type number"],
  ["a BigInt", 7n, "channel: expected a string, got a value of type bigint"],
  ["a symbol", Symbol("events"), "channel: expected a string, got a value of type symbol"],
  ["an array", ["events"], "channel: expected a string, got a value of type object"],
  ["empty", "", 'channel "": expected 1 to 128 characters'],
  [
    "reserved for control events",
    "runnel.live",
    'channel "runnel.live": expected a name that does not start with runnel.',
  ],
  [
    "two lines",
    "a\nb",
    'channel "a\\nb": expected well-formed text without control characters',
  ],
  [
    "an event of EventSource",
    "error",
    'channel "error": expected a name other than error and open, which EventSource uses',
  ],
];

for (const [what, channel, problem] of channels) {
  Deno.test(`serializeEvent() refuses a channel that is ${what}`, () => {
    throws(() => serialize({ channel, payload: 1 }), {
      name: "TypeError",
      message: `Cannot send: ${problem}`,
    });
  });
}

Deno.test("serializeEvent() accepts a channel of maximum length", () => {
  const channel = "😀".repeat(MAX_CHANNEL_LENGTH / 2);
  equal(serializeEvent({ channel, payload: 1 }).channel, channel);
});

const payloads: [payload: unknown, json: string][] = [
  [null, "null"],
  [0, "0"],
  [false, "false"],
  ["", '""'],
  ["\ud800", '"\\ud800"'],
  [NaN, "null"],
  [[undefined, () => {}], "[null,null]"],
  [{ a: undefined, b: Symbol(), c: 1 }, '{"c":1}'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [{ toJSON: () => ({ name: "Luke" }) }, '{"name":"Luke"}'],
  [JSON.parse('{"__proto__":1}'), '{"__proto__":1}'],
];

for (const [payload, json] of payloads) {
  Deno.test(`serializeEvent() accepts a payload that is ${json} in JSON`, () => {
    equal(serializeEvent({ channel: "events", payload }).payload, json);
  });
}

const cycle: { self?: unknown } = {};
cycle.self = cycle;
const failure = new Error("not now");

const unfit: [what: string, payload: unknown, problem: RegExp][] = [
  [
    "a function as payload",
    () => {},
    /: expected a value that JSON can hold, got a value of type function$/,
  ],
  [
    "a symbol as payload",
    Symbol(),
    /: expected a value that JSON can hold, got a value of type symbol$/,
  ],
  [
    "a payload whose toJSON returns nothing",
    { toJSON() {} },
    /: expected a value that JSON can hold, got/,
  ],
  ["a payload with a BigInt", { id: 1n }, /: expected a value that JSON can hold: .*BigInt/],
  ["a payload with a cycle", cycle, /: expected a value that JSON can hold: .*circular/],
  [
    "a payload whose toJSON throws",
    {
      toJSON() {
        throw failure;
      },
    },
    /: expected a value that JSON can hold: not now$/,
  ],
];

for (const [what, payload, problem] of unfit) {
  Deno.test(`serializeEvent() refuses ${what}`, () => {
    throws(() => serializeEvent({ channel: "events", payload }), (error: Error) => {
      equal(error.name, "TypeError");
      return error.message.startsWith("Cannot send: payload") && problem.test(error.message);
    });
  });
}

Deno.test("serializeEvent() has the error of a toJSON as its cause", () => {
  const payload = unfit.at(-1)![1];
  throws(() => serializeEvent({ channel: "events", payload }), { cause: failure });
});

for (const character of ["a", "é", "€", "😀"]) {
  Deno.test(`serializeEvent() limits a payload of ${character} in bytes of UTF-8`, () => {
    const width = new TextEncoder().encode(character).length;
    // The quotes take two bytes.
    const room = MAX_PAYLOAD_BYTES - 2;
    const rest = room % width;
    const most = character.repeat(Math.floor(room / width)) + "a".repeat(rest);
    serializeEvent({ channel: "events", payload: most });
    throws(() => serializeEvent({ channel: "events", payload: most + "a" }), {
      name: "RangeError",
      message: `Cannot send: payload: it has ${MAX_PAYLOAD_BYTES + 1} bytes of JSON, ` +
        `expected ${MAX_PAYLOAD_BYTES} at most`,
    });
  });
}

Deno.test("serializeEvent() accepts a payload of maximum depth", () => {
  serializeEvent({ channel: "events", payload: nest(MAX_PAYLOAD_DEPTH) });
});

for (const levels of [MAX_PAYLOAD_DEPTH + 1, 20_000]) {
  Deno.test(`serializeEvent() refuses a payload of ${levels} levels`, () => {
    throws(() => serializeEvent({ channel: "events", payload: nest(levels) }), {
      name: "RangeError",
      message: `Cannot send: payload: it is more than ${MAX_PAYLOAD_DEPTH} levels deep`,
    });
  });
}
