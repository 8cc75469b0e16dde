import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
} from "../../lib/protocol/event_rules.ts";
import { readPublishRequest, readRawEvent } from "../../lib/http/publish_request.ts";
import { eventSchema } from "../../lib/http/schemas.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";
import { repetitions } from "../support/model/repetitions.ts";

const JSON_TYPE = "application/json";
const NDJSON_TYPE = "application/x-ndjson";

/** Returns an event with a payload as JSON text, so that a test decides on each character. */
function eventOf(payload: string, pipeline: string = "p_a", channel: string = "c"): string {
  return `{"pipeline":${JSON.stringify(pipeline)},"channel":${
    JSON.stringify(channel)
  },"payload":${payload}}`;
}

/** Returns an event with an `end` as JSON text. */
function endOf(end: string): string {
  return `${eventOf("1").slice(0, -1)},"end":${end}}`;
}

/** The forms in which a payload can be sent, each with a function that returns how it was read. */
const forms: [name: string, read: (payload: string) => string][] = [
  ["one event", (payload) => first(JSON_TYPE, eventOf(payload))],
  ["an array", (payload) => first(JSON_TYPE, `[${eventOf(payload)}]`)],
  ["NDJSON", (payload) => first(NDJSON_TYPE, eventOf(payload))],
  [
    "raw JSON",
    (payload) =>
      decodeUtf8(
        readRawEvent({ channel: "c", contentType: JSON_TYPE, body: encodeUtf8(payload) }).payload,
      ),
  ],
];

function first(type: string, body: string): string {
  return decodeUtf8(
    readPublishRequest({ contentType: type, body: encodeUtf8(body) }).events[0]!.payload,
  );
}

function payloads(type: string, body: string): string[] {
  return readPublishRequest({ contentType: type, body: encodeUtf8(body) }).events.map((
    { payload },
  ) => decodeUtf8(payload));
}

function refuses(read: () => unknown, type: string, message: RegExp): void {
  throws(read, { name: "RunnelError", type, message });
}

// Accepted bodies

Deno.test("readPublishRequest() reads an array in order", () => {
  const body = `[${eventOf("1")},${eventOf("2", "p_a", "d")},${eventOf("3")}]`;
  deepEqual(readPublishRequest({ contentType: JSON_TYPE, body: encodeUtf8(body) }), {
    pipeline: "p_a",
    events: [
      { channel: "c", payload: encodeUtf8("1") },
      { channel: "d", payload: encodeUtf8("2") },
      { channel: "c", payload: encodeUtf8("3") },
    ],
    end: false,
  });
});

Deno.test("readPublishRequest() tells whether the last event ends the run", () => {
  const endsRun = (type: string, body: string) =>
    readPublishRequest({ contentType: type, body: encodeUtf8(body) }).end;
  for (const [end, isEnd] of [["true", true], ["false", false]] as const) {
    equal(endsRun(JSON_TYPE, endOf(end)), isEnd);
    equal(endsRun(JSON_TYPE, `[${eventOf("1")},${endOf("false")},${endOf(end)}]`), isEnd);
    equal(endsRun(NDJSON_TYPE, `${eventOf("1")}\n${endOf(end)}`), isEnd);
  }
});

const ndjson: [name: string, body: string][] = [
  ["with a line break at its end", `${eventOf("1.0")}\n${eventOf("2")}\n`],
  ["without one", `${eventOf("1.0")}\n${eventOf("2")}`],
  ["with CRLF", `${eventOf("1.0")}\r\n${eventOf("2")}\r\n`],
  ["with blank lines", `\n \n${eventOf("1.0")}\n\r\n\n${eventOf("2")}\n\n`],
  ["with U+2028 inside a line", `${eventOf("1.0", "p_a", "a\u2028b")}\n${eventOf("2")}`],
];

for (const [name, body] of ndjson) {
  Deno.test(`readPublishRequest() reads NDJSON ${name}`, () => {
    deepEqual(payloads(NDJSON_TYPE, body), ["1.0", "2"]);
  });
}

for (
  const type of [
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "APPLICATION/JSON",
    " application/x-ndjson ; x=y",
  ]
) {
  Deno.test(`readPublishRequest() accepts Content-Type ${JSON.stringify(type)}`, () => {
    deepEqual(payloads(type, eventOf("1")), ["1"]);
  });
}

Deno.test("readPublishRequest() ignores a byte order mark", () => {
  deepEqual(payloads(JSON_TYPE, "\ufeff" + eventOf("1")), ["1"]);
});

Deno.test("readPublishRequest() accepts fields in any order, with any space between", () => {
  const body = ' {\r\n\t"payload" : 1.50 , "channel":"c","pipeline" : "p_a"} ';
  deepEqual(payloads(JSON_TYPE, body), ["1.50"]);
});

Deno.test("readPublishRequest() decodes escapes in a channel", () => {
  const body = String.raw`{"pipeline":"p_\u0061","channel":"\u00e9\ud83d\ude00","payload":1}`;
  const { pipeline, events } = readPublishRequest({
    contentType: JSON_TYPE,
    body: encodeUtf8(body),
  });
  deepEqual([pipeline, events[0]!.channel], ["p_a", "é😀"]);
});

Deno.test("readPublishRequest() tells channels apart of which bytes and characters are alike", () => {
  const channels: [text: string, channel: string][] = [
    ['"a\\\\/"', "a\\/"],
    ['"a\\/"', "a/"],
    ['"a/"', "a/"],
    ['"Ã©"', "Ã©"],
    ['"é"', "é"],
    ['"\\u00e9"', "é"],
    ['"é"', "é"],
    ['"ab"', "ab"],
    ['"a"', "a"],
    ['"b"', "b"],
  ];
  const events = channels.map(([text]) => `{"pipeline":"p_a","channel":${text},"payload":1}`);
  for (
    const [type, body] of [[JSON_TYPE, `[${events}]`], [NDJSON_TYPE, events.join("\n")]] as const
  ) {
    const request = readPublishRequest({ contentType: type, body: encodeUtf8(body) });
    deepEqual(request.events.map(({ channel }) => channel), channels.map(([, channel]) => channel));
  }
});

Deno.test("readPublishRequest() takes no names from the request before", () => {
  const names: [pipeline: string, channel: string][] = [
    ["p_a", "c"],
    ["p_a", "c"],
    ["p_a", "d"],
    ["p_b", "d"],
    ["p_b", "ü"],
    ["p_b", "ü"],
    ["p_b", "Ã¼"],
  ];
  for (const type of [JSON_TYPE, NDJSON_TYPE]) {
    for (const [pipeline, channel] of names) {
      const body = encodeUtf8(eventOf("1", pipeline, channel));
      const read = readPublishRequest({ contentType: type, body });
      deepEqual([read.pipeline, read.events[0]!.channel], [pipeline, channel]);
    }
    for (const body of ['{"payload":1}', '{"pipeline":"p_b","payload":1}', "{}", "null"]) {
      refuses(() => first(type, body), "invalid-event", /^Cannot publish: event 0: /);
    }
  }
});

Deno.test(`readPublishRequest() accepts ${MAX_EVENTS} events and no more`, () => {
  const bodies = (count: number): [string, string][] => {
    const events = Array<string>(count).fill(eventOf("1"));
    return [[JSON_TYPE, `[${events}]`], [NDJSON_TYPE, events.join("\n")]];
  };
  for (const [type, body] of bodies(MAX_EVENTS)) equal(payloads(type, body).length, MAX_EVENTS);
  for (const [type, body] of bodies(MAX_EVENTS + 1)) {
    refuses(() => payloads(type, body), "invalid-event", /expected 1 to 1000 events, got 1001/);
  }
});

Deno.test("readPublishRequest() accepts the names that the schema of events accepts, and no others", () => {
  const pipeline = fc.oneof(
    fc.constantFrom("p_a", "p_", "a", "p_a b", "p_é", "P_a", `p_${"a".repeat(63)}`),
    fc.stringMatching(/^p_[\w-]{0,3}.?$/),
  );
  const channel = fc.oneof(
    fc.constantFrom("c", "", "error", "open", "runnel.gap", "a\nb", "\ud800", "é", "c".repeat(129)),
    fc.string({ unit: "binary", maxLength: 3 }),
  );
  const event = fc.record({
    pipeline: fc.oneof({ weight: 5, arbitrary: pipeline }, fc.jsonValue({ maxDepth: 1 })),
    channel: fc.oneof({ weight: 5, arbitrary: channel }, fc.jsonValue({ maxDepth: 1 })),
    payload: fc.constant(1),
  }, { requiredKeys: [] });
  const isAccepted = (events: unknown) => {
    try {
      const body = encodeUtf8(JSON.stringify(events));
      readPublishRequest({ contentType: JSON_TYPE, body });
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(fc.property(event, (event) => {
    const isValid = eventSchema.safeParse(event).success;
    equal(isAccepted(event), isValid);
    // After another event, whose names are not checked again.
    const before = { pipeline: event.pipeline ?? "p_a", channel: "c", payload: 1 };
    equal(isAccepted([before, event]), isValid && eventSchema.safeParse(before).success);
  }));
});

// Payloads exactly as they were sent

const numberText = fc.stringMatching(/^-?(0|[1-9]\d{0,24})(\.\d{1,20})?([eE][+-]?\d{1,4})?$/);

const stringText = fc.array(
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 3 }).map((text) => JSON.stringify(text).slice(1, -1)),
    fc.constantFrom(...["\\u0041", "\\/", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\u2028", "1.0"]),
  ),
  { maxLength: 5 },
).map((parts) => `"${parts.join("")}"`);

/** JSON as it may be sent, and the expected result. */
interface Text {
  sent: string;
  taken: string;
}

const { value: jsonText } = fc.letrec<{ value: Text }>((tie) => {
  const space = fc.constantFrom("", " ", "\t\r ");
  const key = fc.oneof(
    fc.constantFrom('"a"', '"1"', '"0"', '"__proto__"', '"toJSON"', '"rawJSON"', '"constructor"'),
    stringText,
  );
  return {
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      numberText.map((text) => ({ sent: text, taken: text })),
      stringText.map((text) => ({ sent: text, taken: text })),
      fc.constantFrom("null", "true", "false").map((text) => ({ sent: text, taken: text })),
      fc.tuple(space, fc.array(tie("value"), { maxLength: 4 })).map(([space, items]) => ({
        sent: `[${space}${items.map(({ sent }) => sent + space)}]`,
        taken: `[${items.map(({ taken }) => taken)}]`,
      })),
      fc.tuple(space, fc.array(fc.tuple(key, tie("value")), { maxLength: 4 })).map(
        ([space, entries]) => {
          const sent = entries.map(([key, { sent }]) => `${space}${key}${space}:${space}${sent}`);
          const taken = entries.map(([key, { taken }]) => `${key}:${taken}`);
          return { sent: `{${sent}}`, taken: `{${taken}}` };
        },
      ),
    ),
  };
});

for (const [name, read] of forms) {
  Deno.test(`a number in ${name} stays as it was written`, () => {
    fc.assert(fc.property(numberText, (text) => equal(read(text), text)), repetitions(100));
  });

  Deno.test(`a payload in ${name} keeps its numbers, texts, keys and their order`, () => {
    fc.assert(
      fc.property(jsonText, ({ sent, taken }) => equal(read(sent), taken)),
      repetitions(150),
    );
  });

  Deno.test(`a canonical payload in ${name} is not changed`, () => {
    fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value);
      equal(read(text), text);
    }));
  });
}

const exact: [name: string, sent: string][] = [
  ["an integer past 2^53", "12345678901234567890"],
  ["16 digits", "9007199254740993"],
  ["a fraction of zero", "1.0"],
  ["negative zero", "-0"],
  ["negative zero with a fraction", "-0.0"],
  ["what is infinite as a double", "1e400"],
  ["what is zero as a double", "1e-400"],
  ["a capital exponent", "1E5"],
  ["a signed exponent", "1e+05"],
  ["a fraction that no double holds", "0.1"],
  ["30 decimals", "3.141592653589793238462643383279"],
  ["numbers deep inside", '{"a":[{"b":[-0,1.0]}]}'],
  ["what looks like a number in a text", '["1.0","-0","12345678901234567890"]'],
  ["a key that looks like a number", '{"k1.0":1.0}'],
  ["null", "null"],
  ["an empty text", '""'],
  ["an empty object", "{}"],
  ["an emoji", '"😀"'],
  ["an escaped emoji", '"\\ud83d\\ude00"'],
  ["an escaped letter, and an escaped solidus", '"\\u0041\\/"'],
  ["a lone surrogate escape", '"\\ud800"'],
  ["a lone surrogate escape beside 1.0", '["\\udc00",1.0]'],
  ["a lone surrogate escape in a key", '{"\\ud800":1}'],
  ["U+2028 and U+2029", '"\u2028\u2029"'],
  ["a byte order mark inside", '"\ufeff"'],
  ["escapes of control characters", '"\\u0000\\n\\r\\t\\u001f"'],
  ["__proto__ as a key", '{"__proto__":{"polluted":1}}'],
  ["__proto__ as a key beside 1.0", '{"__proto__":{"polluted":1.0}}'],
  ["toJSON as a key", '{"toJSON":"x","n":1.0}'],
  ["a doubled key", '{"a":1.0,"b":2,"a":3.0}'],
  ["a doubled key of other kinds", '{"a":[1.0],"a":"x"}'],
  ["the order of keys that are whole numbers", '{"b":1,"10":2,"1":3}'],
];

for (const [name, sent] of exact) {
  Deno.test(`a payload keeps ${name}`, () => {
    for (const [, read] of forms) equal(read(sent), sent);
    equal(Object.hasOwn(Object.prototype, "polluted"), false);
  });
}

// Limits of a payload

Deno.test(`a payload of ${MAX_PAYLOAD_BYTES} bytes is accepted, one byte more is not`, () => {
  const bodies: ((bytes: number) => string)[] = [
    (bytes) => `"${"a".repeat(bytes - 2)}"`,
    (bytes) => `"${"€".repeat(Math.floor((bytes - 2) / 3))}${"a".repeat((bytes - 2) % 3)}"`,
    (bytes) => `1.${"0".repeat(bytes - 2)}`,
  ];
  for (const [name, read] of forms) {
    for (const body of bodies) {
      equal(encodeUtf8(read(body(MAX_PAYLOAD_BYTES))).length, MAX_PAYLOAD_BYTES, name);
      refuses(
        () => read(body(MAX_PAYLOAD_BYTES + 1)),
        "invalid-event",
        /event 0: payload: it has 61441 bytes of JSON, expected 61440 at most/,
      );
    }
  }
});

Deno.test("space around values does not count toward the payload", () => {
  const sent = `[${" ".repeat(MAX_PAYLOAD_BYTES)}1.0]`;
  for (const [, read] of forms) equal(read(sent), "[1.0]");
});

/** Returns a payload of some levels, of arrays, of objects, or of both in turn. */
const nests: [name: string, make: (levels: number) => string][] = [
  ["arrays", (levels) => "[".repeat(levels) + "]".repeat(levels)],
  ["arrays around a fraction", (levels) => `${"[".repeat(levels)}1.0${"]".repeat(levels)}`],
  ["objects", (levels) => `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`],
  ["objects around a fraction", (levels) => `${'{"a":'.repeat(levels)}1.0${"}".repeat(levels)}`],
  [
    "both",
    (levels) =>
      `${'[{"a":'.repeat(levels / 2)}${levels % 2 ? "[]" : "0"}${"}]".repeat(levels / 2)}`,
  ],
  ["the last of many", (levels) => `[1,{"a":1},[2],${"[".repeat(levels - 1)}${"]".repeat(levels)}`],
];

for (const [name, make] of nests) {
  Deno.test(`a payload of ${MAX_PAYLOAD_DEPTH} levels of ${name} is accepted, one more is not`, () => {
    for (const [, read] of forms) {
      equal(read(make(MAX_PAYLOAD_DEPTH)), make(MAX_PAYLOAD_DEPTH));
      refuses(
        () => read(make(MAX_PAYLOAD_DEPTH + 1)),
        "invalid-event",
        /event 0: payload: it is more than 512 levels deep/,
      );
    }
  });

  Deno.test(`a bomb of ${name} is rejected without a stack overflow`, () => {
    const bomb = make(name.startsWith("objects") ? 80_000 : 250_000);
    for (const [, read] of forms) refuses(() => read(bomb), "invalid-event", /levels deep/);
  });

  Deno.test(`a bomb of ${name} outside the payload is rejected without a stack overflow`, () => {
    const bomb = make(name.startsWith("objects") ? 80_000 : 250_000);
    const bodies = [
      bomb,
      `[${bomb}]`,
      `{"pipeline":${bomb},"channel":"c","payload":1}`,
      `{"pipeline":"p_a","channel":${bomb},"payload":1}`,
      `{"pipeline":"p_a","channel":"c","payload":1.0,"x":${bomb}}`,
    ];
    for (const type of [JSON_TYPE, NDJSON_TYPE]) {
      for (const body of bodies) refuses(() => payloads(type, body), "invalid-event", /event 0/);
    }
  });
}

// Rejected bodies

const types = [
  null,
  "",
  "text/plain",
  "text/json",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/jsonp",
  "application/octet-stream; x=application/json",
];

for (const type of types) {
  Deno.test(`readPublishRequest() rejects Content-Type ${type}, and names the accepted ones`, () => {
    refuses(
      () => payloads(type!, eventOf("1")),
      "unsupported-media-type",
      /expected Content-Type application\/json or application\/x-ndjson/,
    );
  });
}

const empty = ["", " ", "\r\n\t \n", "\ufeff"];

for (const body of empty) {
  Deno.test(`readPublishRequest() rejects an empty body: ${JSON.stringify(body)}`, () => {
    for (const type of [JSON_TYPE, NDJSON_TYPE]) {
      refuses(() => payloads(type, body), "malformed-request", /the body is empty/);
    }
  });
}

const noJson = [
  eventOf("1").slice(0, -1),
  `[${eventOf("1")},`,
  `[${eventOf("1")}`,
  `${eventOf("1")},${eventOf("1")}`,
  eventOf(""),
  eventOf("01"),
  eventOf("1."),
  eventOf(".5"),
  eventOf("+1"),
  eventOf("NaN"),
  eventOf("Infinity"),
  eventOf("undefined"),
  eventOf("'a'"),
  eventOf('"a\nb"'),
  eventOf('"\\x41"'),
  eventOf("[1,]"),
  eventOf("1 // a comment"),
  "pipeline=p_a&channel=c",
  "\0",
];

for (const body of noJson) {
  Deno.test(`readPublishRequest() rejects invalid JSON: ${JSON.stringify(body)}`, () => {
    for (const type of [JSON_TYPE, NDJSON_TYPE]) {
      refuses(
        () => payloads(type, body),
        "malformed-request",
        /is not JSON at line 1, column \d+$/,
      );
    }
  });
}

Deno.test("readPublishRequest() rejects two documents in one JSON body", () => {
  const body = `${eventOf("1")}\n${eventOf("2")}`;
  const message = /is not JSON at line 2, column 1\. For one event a line, .*x-ndjson$/;
  refuses(() => payloads(JSON_TYPE, body), "malformed-request", message);
});

Deno.test("readPublishRequest() names the event of NDJSON that is not JSON", () => {
  const body = `${eventOf("1")}\n\n${eventOf("2").slice(0, -1)}\n${eventOf("3")}`;
  refuses(
    () => payloads(NDJSON_TYPE, body),
    "malformed-request",
    /Event 1 is not JSON at line 3, column 44$/,
  );
});

Deno.test("a body that is not UTF-8 is rejected, in each form", () => {
  const body = encodeUtf8(eventOf('"é"')).filter((byte) => byte !== 0xa9);
  for (const type of [JSON_TYPE, NDJSON_TYPE]) {
    refuses(
      () => readPublishRequest({ contentType: type, body }),
      "malformed-request",
      /not UTF-8/,
    );
  }
  for (const type of [JSON_TYPE, "text/plain", null]) {
    refuses(
      () => readRawEvent({ channel: "c", contentType: type, body }),
      "malformed-request",
      /not UTF-8/,
    );
  }
});

const channelRules: [name: string, channel: unknown, message: RegExp][] = [
  ["a line feed", "a\nb", /well-formed text without control characters/],
  ["a carriage return", "a\r", /well-formed text without control characters/],
  ["NUL", "a\0b", /well-formed text without control characters/],
  ["DEL", "\x7f", /well-formed text without control characters/],
  ["a C1 control character", "a\x85", /well-formed text without control characters/],
  ["a lone surrogate", "a\ud800", /well-formed text without control characters/],
  ["error", "error", /other than error and open/],
  ["open", "open", /other than error and open/],
  ["our own prefix", "runnel.x", /does not start with runnel\./],
  ["nothing", "", /1 to 128 characters/],
  ["129 units", "a".repeat(129), /1 to 128 characters/],
  ["129 units of which some are pairs", "😀".repeat(64) + "a", /1 to 128 characters/],
  ["a number", 1, /expected a string/],
  ["null", null, /expected a string/],
  ["an array", ["c"], /expected a string/],
];

for (const [name, channel, message] of channelRules) {
  Deno.test(`a channel of ${name} is rejected by its rule`, () => {
    const rule = new RegExp(`event 0: channel: .*${message.source}`);
    const body = `{"pipeline":"p_a","channel":${JSON.stringify(channel)},"payload":1}`;
    for (const type of [JSON_TYPE, NDJSON_TYPE]) {
      refuses(() => payloads(type, body), "invalid-event", rule);
    }
    if (typeof channel !== "string") return;
    refuses(
      () => readRawEvent({ channel, contentType: "text/plain", body: encodeUtf8("1") }),
      "invalid-event",
      rule,
    );
  });
}

for (const channel of ["a".repeat(128), "😀".repeat(64), "€".repeat(128), " ", "a:b", "errors"]) {
  Deno.test(`a channel like ${channel.slice(0, 8)} of ${channel.length} units is accepted`, () => {
    const { events } = readPublishRequest({
      contentType: JSON_TYPE,
      body: encodeUtf8(eventOf("1", "p_a", channel)),
    });
    equal(events[0]!.channel, channel);
    equal(readRawEvent({ channel, contentType: null, body: encodeUtf8("1") }).channel, channel);
  });
}

const badEvents: [name: string, event: string, message: RegExp][] = [
  ["no payload", '{"pipeline":"p_a","channel":"c"}', /payload is missing$/],
  ["no channel", '{"pipeline":"p_a","payload":1}', /channel is missing$/],
  ["no pipeline", '{"channel":"c","payload":1}', /pipeline is missing$/],
  [
    "several faults",
    '{"channel":1,"payload":1}',
    /pipeline is missing; channel: expected a string$/,
  ],
  [
    "names of other services",
    '{"pipelineId":"p_a","event":"c","data":1}',
    /there is no key "pipelineId", use "pipeline"; .*"event", use "channel"; .*"data", use "payload"$/,
  ],
  ["a misspelt name", '{"pipeline":"p_a","chanel":"c","payload":1}', /"chanel", use "channel"$/],
  ["a pipeline without p_", eventOf("1", "a"), /pipeline: expected p_ followed by/],
  ["a pipeline with a line break", eventOf("1", "p_a\n"), /pipeline: expected p_ followed by/],
  ["another pipeline", eventOf("1", "p_b"), /pipeline: expected "p_a", as in the first event/],
  ["a channel twice", `${eventOf("1").slice(0, -1)},"channel":"d"}`, /channel: expected once/],
  ["a payload twice", `${eventOf("1").slice(0, -1)},"payload":1}`, /payload: expected once/],
  [
    "a pipeline twice, once escaped",
    `${eventOf("1").slice(0, -1)},"p\\u0069peline":"p_a"}`,
    /pipeline: expected once/,
  ],
  ["a field too many", `${eventOf("1").slice(0, -1)},"id":"7"}`, /there is no key "id"$/],
  ["a field named constructor", `${eventOf("1").slice(0, -1)},"constructor":1}`, /"constructor"$/],
  ["an end of another kind", endOf("1"), /end: expected true or false$/],
  ["an end twice", `${endOf("true").slice(0, -1)},"end":true}`, /end: expected once$/],
  ["an end before the last event", endOf("true"), /end: expected on the last event, which ends/],
  ["an end by another name", `${eventOf("1").slice(0, -1)},"done":true}`, /"done", use "end"$/],
  ["a name that is near to end alone", '{"kind":"c","pipeline":"p_a","payload":1}', /"kind"$/],
  ["a field named __proto__", `${eventOf("1").slice(0, -1)},"__proto__":{}}`, /"__proto__"/],
  ["a payload too deep", eventOf("[".repeat(513) + "]".repeat(513)), /payload: .*512 levels/],
  ["a payload too large", eventOf(`"${"a".repeat(61_439)}"`), /payload: .*61440 at most/],
  ["null", "null", /expected an object with pipeline, channel and payload/],
  ["a text", '"p_a"', /expected an object with pipeline, channel and payload/],
  ["an array", `[${eventOf("1")}]`, /expected an object with pipeline, channel and payload/],
];

for (const [name, bad, message] of badEvents) {
  Deno.test(`a batch with ${name} in the middle is rejected with its index and field`, () => {
    const events = [eventOf("1"), bad, eventOf("3")];
    const named = new RegExp(`^Cannot publish: event 1: .*${message.source}`);
    refuses(() => payloads(JSON_TYPE, `[${events}]`), "invalid-event", named);
    refuses(() => payloads(NDJSON_TYPE, events.join("\n")), "invalid-event", named);
  });
}

Deno.test("readPublishRequest() names few and short keys of an event with thousands", () => {
  const keys = Array.from({ length: 5000 }, (_, index) => `"${index}${"k".repeat(100)}":1`);
  const body = `{${keys},${eventOf("1").slice(1)}`;
  const named = [0, 1, 2].map((index) => `there is no key "${index}${"k".repeat(39)}"`).join("; ");
  throws(() => payloads(JSON_TYPE, body), {
    message: `Cannot publish: event 0: ${named}`,
  });
});

Deno.test("readPublishRequest() counts the events beyond the limit without reading them", () => {
  const body = "1\n".repeat(200_000);
  refuses(
    () => payloads(NDJSON_TYPE, `${eventOf("1")}\n`.repeat(1000) + body),
    "invalid-event",
    /got 201000$/,
  );
});

Deno.test("readPublishRequest() rejects an empty array", () => {
  refuses(() => payloads(JSON_TYPE, "[]"), "invalid-event", /expected 1 to 1000 events, got 0/);
});

// Raw events

const raw: [type: string | null, body: string, payload: string][] = [
  [null, "hello", '"hello"'],
  ["text/plain", "1.0", '"1.0"'],
  ["text/plain; charset=utf-8", 'a"b\\c\r\n\0', '"a\\"b\\\\c\\r\\n\\u0000"'],
  ["text/plain", "", '""'],
  ["text/plain", "\ufeffa", '"\ufeffa"'],
  ["application/x-www-form-urlencoded", "a=1&b=2", '"a=1&b=2"'],
  ["text/html", "\u2028😀", '"\u2028😀"'],
  ["application/x-ndjson", "1\n2", '"1\\n2"'],
  ["application/json", " 1.0\n", "1.0"],
  ["Application/JSON; charset=utf-8", '{"a":-0}', '{"a":-0}'],
  ["application/cloudevents+json", "[1E5]", "[1E5]"],
  ["application/json", '"hello"', '"hello"'],
];

for (const [type, body, payload] of raw) {
  Deno.test(`readRawEvent() reads ${JSON.stringify(body)} as ${type}`, () => {
    deepEqual(readRawEvent({ channel: "c", contentType: type, body: encodeUtf8(body) }), {
      channel: "c",
      payload: encodeUtf8(payload),
    });
  });
}

for (const body of ["", " ", "hello", "{", "1 2"]) {
  Deno.test(`readRawEvent() rejects ${JSON.stringify(body)} as JSON`, () => {
    refuses(
      () => readRawEvent({ channel: "c", contentType: JSON_TYPE, body: encodeUtf8(body) }),
      "malformed-request",
      /is not JSON at line 1, column \d+$/,
    );
  });
}

Deno.test("readRawEvent() measures a text as JSON", () => {
  const fits = "\n".repeat((MAX_PAYLOAD_BYTES - 2) / 2);
  equal(
    readRawEvent({ channel: "c", contentType: "text/plain", body: encodeUtf8(fits) }).payload
      .length,
    MAX_PAYLOAD_BYTES,
  );
  refuses(
    () => readRawEvent({ channel: "c", contentType: "text/plain", body: encodeUtf8(fits + "a") }),
    "invalid-event",
    /61441 bytes/,
  );
});
