import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import {
  MAX_CHANNEL_LENGTH,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
} from "../../lib/protocol/event_rules.ts";
import { serializeEvent } from "../../lib/workflow/serialized_event.ts";
import { nest } from "../support/nest.ts";

/** Calls it as JavaScript does, which has no types. */
const capture = (event?: unknown) => serializeEvent(event as never);

Deno.test("serializeEvent() has the event as it was, whatever becomes of it", () => {
  const event = { channel: "names", payload: { name: "Luke", friends: ["Han"] } };
  const captured = serializeEvent(event);
  event.channel = "others";
  event.payload.friends.push("Leia");
  deepEqual(captured, { channel: "names", payload: '{"name":"Luke","friends":["Han"]}' });
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
  Deno.test(`serializeEvent() says of ${JSON.stringify(event)} that ${names} missing`, () => {
    throws(() => capture(event), {
      name: "TypeError",
      message: `Cannot send: ${names} missing. Expected $.send.sse({ channel, payload })`,
    });
  });
}

const channels: [channel: unknown, problem: string][] = [
  [null, "channel: expected a string, got null"],
  [7, "channel: expected a string, got a value of type number"],
  [7n, "channel: expected a string, got a value of type bigint"],
  [Symbol("events"), "channel: expected a string, got a value of type symbol"],
  [["events"], "channel: expected a string, got a value of type object"],
  ["", 'channel "": expected 1 to 128 characters'],
  ["runnel.live", 'channel "runnel.live": expected a name that does not start with runnel.'],
  [
    "a\nb",
    'channel "a\\nb": expected well-formed text without control characters',
  ],
  [
    "error",
    'channel "error": expected a name other than error and open, which EventSource uses',
  ],
];

for (const [channel, problem] of channels) {
  Deno.test(`serializeEvent() refuses the ${problem}`, () => {
    throws(() => capture({ channel, payload: 1 }), {
      name: "TypeError",
      message: `Cannot send: ${problem}`,
    });
  });
}

Deno.test("serializeEvent() takes the longest channel", () => {
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
  Deno.test(`serializeEvent() takes a payload that is ${json} in JSON`, () => {
    equal(serializeEvent({ channel: "events", payload }).payload, json);
  });
}

const cycle: { self?: unknown } = {};
cycle.self = cycle;
const failure = new Error("not now");

const unfit: [what: string, payload: unknown, problem: RegExp][] = [
  ["a function", () => {}, /: expected a value that JSON can hold, got a value of type function$/],
  ["a symbol", Symbol(), /: expected a value that JSON can hold, got a value of type symbol$/],
  ["nothing by its toJSON", { toJSON() {} }, /: expected a value that JSON can hold, got/],
  ["a BigInt", { id: 1n }, /: expected a value that JSON can hold: .*BigInt/],
  ["a cycle", cycle, /: expected a value that JSON can hold: .*circular/],
  [
    "what throws in its toJSON",
    {
      toJSON() {
        throw failure;
      },
    },
    /: expected a value that JSON can hold: not now$/,
  ],
];

for (const [what, payload, problem] of unfit) {
  Deno.test(`serializeEvent() refuses a payload that is ${what}, and says why`, () => {
    throws(() => serializeEvent({ channel: "events", payload }), (error: Error) => {
      equal(error.name, "TypeError");
      return error.message.startsWith("Cannot send: payload") && problem.test(error.message);
    });
  });
}

Deno.test("serializeEvent() gives what a toJSON threw as the cause", () => {
  const payload = unfit.at(-1)![1];
  throws(() => serializeEvent({ channel: "events", payload }), { cause: failure });
});

for (const character of ["a", "é", "€", "😀"]) {
  Deno.test(`serializeEvent() counts a payload of ${character} in bytes of UTF-8`, () => {
    const width = new TextEncoder().encode(character).length;
    // Two bytes are its quotes.
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

Deno.test("serializeEvent() takes a payload of the greatest depth", () => {
  serializeEvent({ channel: "events", payload: nest(MAX_PAYLOAD_DEPTH) });
});

for (const levels of [MAX_PAYLOAD_DEPTH + 1, 20_000]) {
  Deno.test(`serializeEvent() says of ${levels} levels that they are too many`, () => {
    throws(() => serializeEvent({ channel: "events", payload: nest(levels) }), {
      name: "RangeError",
      message: `Cannot send: payload: it is more than ${MAX_PAYLOAD_DEPTH} levels deep`,
    });
  });
}
