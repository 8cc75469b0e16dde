import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { appendReader } from "../../lib/http/append_body.ts";
import type { DataMode } from "../../lib/http/append_event_stream.ts";
import { MAX_BODY_BYTES, MAX_PAYLOAD_DEPTH } from "../../lib/protocol/event_rules.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";

const NDJSON = "application/x-ndjson";
const STREAM = "text/event-stream";
const MAX_PAYLOAD_BYTES = 64;

interface Options {
  contentType?: string | null;
  channel?: string | null;
  data?: DataMode;
}

function open({ contentType = NDJSON, channel = null, data = "auto" }: Options = {}) {
  return appendReader({
    contentType,
    channel,
    data,
    limits: { maxPayloadBytes: MAX_PAYLOAD_BYTES },
  });
}

/** Events as their channel, their payload and, at the end of a run, `end`. */
type Events = string[][];

/** Reads a body, and returns its events and the error, as its type and its message. */
function read(body: string | Uint8Array, options?: Options): { events: Events; error?: string } {
  const reader = open(options);
  const events: Events = [];
  try {
    for (
      const appended of [
        reader.read(typeof body === "string" ? encodeUtf8(body) : body),
        reader.end(),
      ]
    ) {
      for (const { event: { channel, payload }, end } of appended) {
        events.push([channel, decodeUtf8(payload), ...end ? ["end"] : []]);
      }
    }
    return { events };
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "RunnelError") throw error;
    return { events, error: `${(error as Error & { type: string }).type}: ${error.message}` };
  }
}

const line = (payload: string, channel = '"c"') => `{"channel":${channel},"payload":${payload}}\n`;

// Media types

Deno.test("appendReader() takes two media types, in any case and with parameters", () => {
  for (const contentType of [NDJSON, "Application/X-NDJSON; charset=utf-8", ` ${NDJSON} ;x`]) {
    deepEqual(read(line("1"), { contentType }), { events: [["c", "1"]] });
  }
  for (const contentType of [STREAM, "Text/Event-Stream;charset=utf-8"]) {
    deepEqual(read("data: a\n\n", { contentType }), { events: [["message", '"a"']] });
  }
});

const types: [type: string | null, message: string][] = [
  [null, "none. With curl, add -H 'Content-Type: application/x-ndjson'"],
  ["text/plain", "text/plain. With curl, add -H 'Content-Type: application/x-ndjson'"],
  ["application/json; x=y", "application/json. Send JSON to POST /ingest"],
  ["x".repeat(100), `${"x".repeat(60)}. With curl, add -H 'Content-Type: application/x-ndjson'`],
];

for (const [contentType, message] of types) {
  Deno.test(`appendReader() refuses the media type ${contentType?.slice(0, 30)}`, () => {
    throws(() => open({ contentType }), {
      type: "unsupported-media-type",
      message: "Cannot publish: expected Content-Type application/x-ndjson or " +
        `text/event-stream, got ${message}`,
    });
  });
}

Deno.test("appendReader() refuses an invalid channel, and any channel beside NDJSON", () => {
  throws(() => open({ contentType: STREAM, channel: "error" }), {
    type: "invalid-event",
    message: /^Cannot publish: channel: expected a name other than error and open/,
  });
  throws(() => open({ channel: "c" }), {
    type: "malformed-request",
    message: "Cannot publish: the channel of the request is for text/event-stream. " +
      "In application/x-ndjson, each event has its own",
  });
});

// NDJSON

const ndjson: [name: string, body: string, ...events: Events][] = [
  ["a line", line("1"), ["c", "1"]],
  ["a last line without a line feed", line("1").trimEnd(), ["c", "1"]],
  ["CRLF", line("1").replace("\n", "\r\n"), ["c", "1"]],
  ["blank lines", `\n \t\r\n${line("1")}\n\n${line("2")} `, ["c", "1"], ["c", "2"]],
  ["nothing", ""],
  ["a byte order mark", "\ufeff" + line("1"), ["c", "1"]],
  ["numbers, keys and escapes as they are", line('{"b": 1.0, "a":-0 ,"a":"\\u0041\u2028"}'), [
    "c",
    '{"b":1.0,"a":-0,"a":"\\u0041\u2028"}',
  ]],
  ["keys in any order", '{"end":false,"payload":1,"channel":"c"}', ["c", "1"]],
  ["an escaped channel", line("1", '"\\u0063"'), ["c", "1"]],
  ["channels that change", line("1") + line("2", '"d"') + line("3"), ["c", "1"], ["d", "2"], [
    "c",
    "3",
  ]],
  ["an end", line("1") + '{"channel":"c","payload":2,"end":true}\n\n \n', ["c", "1"], [
    "c",
    "2",
    "end",
  ]],
  ["an end without a line feed", '{"channel":"c","payload":2,"end":true}', ["c", "2", "end"]],
];

for (const [name, body, ...events] of ndjson) {
  Deno.test(`appended NDJSON: ${name}`, () => deepEqual(read(body), { events }));
}

/** Lines that are refused after an event and a blank line, so as event 1 on line 3. */
const badLines: [name: string, line: string, error: string][] = [
  [
    "no JSON",
    "{'a'}",
    "invalid-event: Cannot publish: Event 1 is not JSON at line 3, column 2",
  ],
  [
    "half a line",
    '{"channel":"é"',
    "invalid-event: Cannot publish: Event 1 is not JSON at line 3, column 15",
  ],
  [
    "two events",
    line("1").trim() + line("1"),
    "invalid-event: Cannot publish: Event 1 is not JSON at line 3, column 28",
  ],
  ["no object", "[]", invalid("expected an object with channel and payload")],
  ["no channel", '{"payload":1}', invalid("channel is missing")],
  ["no payload", '{"channel":"c"}', invalid("payload is missing")],
  ["an empty object", "{}", invalid("channel is missing; payload is missing")],
  [
    "an end alone",
    '{"end":true}',
    invalid(
      "channel is missing; payload is missing. " +
        "To end the run without an event, use POST /pipelines/:pipeline/end",
    ),
  ],
  ["an end of another kind", line('1,"end":"true"'), invalid("end: expected true or false")],
  ["an end of null", line('1,"end":null'), invalid("end: expected true or false")],
  ["an end twice", line('1,"end":true,"\\u0065nd":false'), invalid("end: expected once")],
  [
    "a pipeline",
    line('1,"pipeline":"p_a"'),
    invalid('there is no key "pipeline": the path names the pipeline'),
  ],
  ["a pipeline by another name", line('1,"id":"p_a"'), invalid('there is no key "id"')],
  ["a pipeline misspelt", line('1,"pipelin":"p_a"'), invalid('there is no key "pipelin"')],
  ["an end by another name", line('1,"done":true'), invalid('there is no key "done", use "end"')],
  [
    "a channel by another name",
    '{"kind":"c","payload":1}',
    invalid('there is no key "kind"'),
  ],
  [
    "an event of an EventSource",
    line("1", '"error"'),
    invalid("channel: expected a name other than error and open, which EventSource uses"),
  ],
  ["a channel that is no string", line("1", "7"), invalid("channel: expected a string")],
  [
    "a payload too large",
    line(`"${"a".repeat(MAX_PAYLOAD_BYTES - 1)}"`),
    invalid("payload: it has 65 bytes of JSON, expected 64 at most"),
  ],
  [
    "a payload too deep",
    line("[".repeat(MAX_PAYLOAD_DEPTH + 1) + "]".repeat(MAX_PAYLOAD_DEPTH + 1)),
    invalid("payload: it is more than 512 levels deep"),
  ],
];

function invalid(problem: string): string {
  return `invalid-event: Cannot publish: event 1, line 3: ${problem}`;
}

for (const [name, bad, error] of badLines) {
  Deno.test(`appended NDJSON is refused with ${name}, after the events before it`, () => {
    const events = [["c", "0"]];
    deepEqual(read(`${line("0")}\n${bad}`), { events, error });
    deepEqual(read(`${line("0")}\n${bad.trimEnd()}\n${line("2")}`), { events, error });
  });
}

Deno.test("appended NDJSON is refused after its end", () => {
  const body = `${line("0")}{"channel":"c","payload":1,"end":true}\n\nx`;
  deepEqual(read(body), {
    events: [["c", "0"], ["c", "1", "end"]],
    error: "invalid-event: Cannot publish: event 2, line 4: " +
      'it follows the end, an event with "end": true',
  });
});

Deno.test("appended NDJSON is checked for UTF-8 by line", () => {
  const text = encodeUtf8(`${line("0")}${line('"é"')}`);
  deepEqual(read(text.filter((byte) => byte !== 0xa9)), {
    events: [["c", "0"]],
    error: "invalid-event: Cannot publish: event 1, line 2 is not UTF-8",
  });
});

// Event streams

const streams: [name: string, body: string, ...events: Events][] = [
  ["the type as the channel", "event: t\ndata: a\n\n", ["t", '"a"']],
  ["no type", "data: a\n\n", ["message", '"a"']],
  ["types that an EventSource uses", "event: error\ndata: a\n\nevent: open\ndata: a\n\n", [
    "stream.error",
    '"a"',
  ], ["stream.open", '"a"']],
  ["types like keys of objects", "event: constructor\ndata: 1\n\nevent: __proto__\ndata: 1\n\n", [
    "constructor",
    '"1"',
  ], ["__proto__", '"1"']],
  [
    "control events, whatever they contain",
    `event: runnel.live\ndata: {}\n\ndata: a\n\nevent: ${"runnel.".padEnd(200, "x")}\ndata: ${
      "a".repeat(100)
    }\n\n`,
    ["message", '"a"'],
  ],
  ["comments, id and retry", ":c\nid: 1\nretry: 1\n\nid: 1\ndata: a\n\n", ["message", '"a"']],
  ["no unfinished block", "data: a\n\ndata: b\n", ["message", '"a"']],
  ["lines of data", "data: a\ndata: b\n\n", ["message", '"a\\nb"']],
  ["JSON of several lines", 'data: {"a":\ndata:  1.0}\n\n', ["message", '{"a":1.0}']],
  ["a byte order mark", "\ufeffdata: a\n\n", ["message", '"a"']],
  ["a type and a text that begin with U+FEFF", "event: \ufefft\ndata: \ufeffa\n\n", [
    "\ufefft",
    '"\ufeffa"',
  ]],
];

for (const [name, body, ...events] of streams) {
  Deno.test(`an appended event stream: ${name}`, () => {
    deepEqual(read(body, { contentType: STREAM }), { events });
  });
}

Deno.test("an appended event stream: a channel for events without a type", () => {
  const body = "data: a\n\nevent: message\ndata: b\n\nevent\ndata: c\n\n";
  deepEqual(read(body, { contentType: STREAM, channel: "tokens" }), {
    events: [["tokens", '"a"'], ["message", '"b"'], ["tokens", '"c"']],
  });
});

/** Data, and its payload in each mode; `null` where it is refused. */
const data: [data: string, auto: string | null, json: string | null, text: string][] = [
  ['{"a": 1.0}', '{"a":1.0}', '{"a":1.0}', '"{\\"a\\": 1.0}"'],
  ["[1e5]", "[1e5]", "[1e5]", '"[1e5]"'],
  ['"a"', '"a"', '"a"', '"\\"a\\""'],
  ["1.0", '"1.0"', "1.0", '"1.0"'],
  ["true", '"true"', "true", '"true"'],
  ["null", '"null"', "null", '"null"'],
  [" {}", '" {}"', "{}", '" {}"'],
  ["{} ", "{}", "{}", '"{} "'],
  ["[DONE]", '"[DONE]"', null, '"[DONE]"'],
  ["{", '"{"', null, '"{"'],
  ['"', '"\\""', null, '"\\""'],
  ["{} {}", '"{} {}"', null, '"{} {}"'],
  ["hello", '"hello"', null, '"hello"'],
  ["", '""', null, '""'],
  ["\0\u2028é", '"\\u0000\u2028é"', null, '"\\u0000\u2028é"'],
];

for (const [sent, auto, json, text] of data) {
  Deno.test(`an appended event stream: ${JSON.stringify(sent)} by the meaning of data`, () => {
    for (const [mode, payload] of Object.entries({ auto, json, text })) {
      const { events, error } = read(`data: ${sent}\n\n`, {
        contentType: STREAM,
        data: mode as DataMode,
      });
      deepEqual(events, payload === null ? [] : [["message", payload]], mode);
      equal(error?.slice(0, 13), payload === null ? "invalid-event" : undefined);
    }
  });
}

/** Blocks that are refused after an event and a comment, so as event 1 on line 5. */
const badBlocks: [name: string, block: string, data: DataMode, error: string][] = [
  [
    "no JSON",
    "data: {\ndata: x\n\n",
    "json",
    "data: it is not JSON at line 2 of it, column 1. " +
    "Send JSON, or have it taken as a text with data=text",
  ],
  [
    "JSON too deep",
    `data: ${"[".repeat(513)}${"]".repeat(513)}\n\n`,
    "auto",
    "payload: it is more than 512 levels deep",
  ],
  [
    "JSON too large",
    `data: [${"1".repeat(63)}]\n\n`,
    "auto",
    "payload: it has 65 bytes of JSON, expected 64 at most",
  ],
  [
    "a text too large as JSON",
    `data: ${"\t".repeat(32)}\n\n`,
    "text",
    "payload: it has 66 bytes of JSON, expected 64 at most",
  ],
  [
    "a type too long",
    `event: ${"t".repeat(129)}\ndata: a\n\n`,
    "auto",
    "event type: expected 1 to 128 characters",
  ],
  [
    "a control character in the type",
    "event: a\tb\ndata: a\n\n",
    "auto",
    "event type: expected well-formed text without control characters",
  ],
];

for (const [name, block, data, problem] of badBlocks) {
  Deno.test(`an appended event stream is refused with ${name}, after the events before it`, () => {
    const error = `invalid-event: Cannot publish: event 1, line 5: ${problem}`;
    const body = `data: {}\n\n: c\nid: 1\n${block}data: 1\n\n`;
    const { events, error: found } = read(body, { contentType: STREAM, data });
    deepEqual([events.length, found], [1, error]);
  });
}

Deno.test("an appended event stream is refused if its data or type is not UTF-8", () => {
  for (
    const [name, body] of [["data", "data: a\n\ndata: é\n\n"], [
      "type",
      "data: a\n\nevent: é\ndata: b\n\n",
    ]]
  ) {
    deepEqual(read(encodeUtf8(body!).filter((byte) => byte !== 0xa9), { contentType: STREAM }), {
      events: [["message", '"a"']],
      error: `invalid-event: Cannot publish: the ${name} of event 1, line 3 is not UTF-8`,
    });
  }
  // Of what is passed over, nothing is checked.
  const comment = encodeUtf8(": é\nid: é\n\ndata: a\n\n").filter((byte) => byte !== 0xa9);
  deepEqual(read(comment, { contentType: STREAM }), { events: [["message", '"a"']] });
});

// Bounds

Deno.test(`an event of more than ${MAX_BODY_BYTES} bytes is refused before it is whole`, () => {
  const message = `Cannot publish: event 1, line 3: it has more than ${MAX_BODY_BYTES} bytes. ` +
    "Send smaller events";
  for (const [contentType, before] of [[NDJSON, `${line("0")}\n`], [STREAM, "data: a\n\n"]]) {
    const reader = open({ contentType: contentType! });
    equal([...reader.read(encodeUtf8(before!))].length, 1);
    deepEqual([...reader.read(new Uint8Array(MAX_BODY_BYTES).fill(0x20))], []);
    equal(reader.heldBytes, MAX_BODY_BYTES);
    throws(() => [...reader.read(Uint8Array.of(0x20))], { type: "invalid-event", message });
    equal(reader.heldBytes, MAX_BODY_BYTES);
  }
});

Deno.test(`an event of ${MAX_BODY_BYTES} bytes is read, and none of one more, in one piece`, () => {
  const space = (bytes: number) => " ".repeat(bytes - line("1").length + 1);
  const ofSize = (bytes: number) => line(space(bytes) + "1");
  deepEqual(read(ofSize(MAX_BODY_BYTES)), { events: [["c", "1"]] });
  equal(read(ofSize(MAX_BODY_BYTES + 1)).error?.includes("event 0, line 1: it has more"), true);
  const block = (spaces: number) => `data: [\ndata:${" ".repeat(spaces)}\ndata: ]\n\n`;
  const options: Options = { contentType: STREAM };
  // Held when the last line has arrived: "[", a break, the spaces but one, and this line of 7.
  deepEqual(read(block(MAX_BODY_BYTES - 8), options), { events: [["message", "[]"]] });
  equal(
    read(block(MAX_BODY_BYTES - 7), options).error?.includes("event 0, line 3: it has more"),
    true,
  );
});

Deno.test("an event retains no bytes of the body, nor of the reader", () => {
  for (const contentType of [NDJSON, STREAM]) {
    const body = encodeUtf8((contentType === NDJSON ? line("[1]") : "data: [1]\n\n").repeat(2));
    const reader = open({ contentType });
    const events = [...reader.read(body.subarray(0, -5)), ...reader.read(body.subarray(-5))];
    body.fill(0);
    for (const _ of reader.read(encodeUtf8(contentType === NDJSON ? line("[2]") : "data: 2")));
    deepEqual(
      events.map(({ event: { payload } }) => [decodeUtf8(payload), payload.buffer.byteLength]),
      [["[1]", 3], ["[1]", 3]],
    );
  }
});

Deno.test("AppendReader.end() yields nothing of a block, and holds nothing of a line", () => {
  const stream = open({ contentType: STREAM });
  deepEqual([...stream.read(encodeUtf8("data: a\nid: 1\n"))], []);
  deepEqual([...stream.end()], []);
  const lines = open();
  deepEqual([...lines.read(encodeUtf8(line("1").trimEnd()))], []);
  equal(lines.heldBytes, 27);
  equal([...lines.end()].length, 1);
  equal(lines.heldBytes, 0);
});
