import {
  deepStrictEqual as deepEqual,
  match,
  ok,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import fc from "fast-check";
import { openSource } from "../../lib/workflow/source.ts";
import type { SseSource } from "../../lib/workflow/send_sse.ts";
import { awkwardText } from "../support/generators/awkward_text.ts";
import { encodeUtf8 } from "../support/generators/text.ts";
import { repetitions } from "../support/model/repetitions.ts";

/** Creates a stream of values. */
function streamOf(...values: unknown[]): ReadableStream<unknown> {
  return ReadableStream.from(values);
}

/** Creates a response whose body comes in pieces of a number of bytes. */
function respond(text: string, contentType: string, size = 7): Response {
  const bytes = encodeUtf8(text);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return new Response(ReadableStream.from(pieces), { headers: { "Content-Type": contentType } });
}

/** Reads all payloads, as JSON text. */
async function readAll(source: SseSource): Promise<string[]> {
  const { pieces, reader } = openSource(source);
  const payloads: string[] = [];
  for (let piece; !(piece = await pieces.next()).done;) payloads.push(...reader.read(piece.value));
  return [...payloads, ...reader.end()];
}

async function* generate(...values: unknown[]) {
  yield* values;
}

for (const [what, open] of [["an async iterable", generate], ["a stream", streamOf]] as const) {
  Deno.test(`openSource() takes each value of ${what} as a payload`, async () => {
    const values = ["Luke", "", '{"a":1}', { a: [1] }, null, 0, false];
    deepEqual(await readAll(open(...values)), values.map((value) => JSON.stringify(value)));
  });

  Deno.test(`openSource() decodes the bytes of ${what}, also of a character cut in two`, async () => {
    const bytes = encodeUtf8("a€b");
    const payloads = await readAll(
      open(bytes.slice(0, 2), bytes.slice(2, 3), bytes.slice(3).buffer, new Uint8Array()),
    );
    deepEqual(payloads, ['"a"', '"€b"']);
  });

  Deno.test(`openSource() refuses a value of ${what} that JSON cannot hold`, async () => {
    const error = await readAll(open(1, () => {})).catch((error) => error);
    match(String(error), /^TypeError: Cannot send: payload: expected a value that JSON can hold/);
  });
}

Deno.test("openSource() keeps a character that is incomplete at the end as U+FFFD", async () => {
  deepEqual(await readAll(streamOf(encodeUtf8("a€").slice(0, 3))), ['"a"', '"\uFFFD"']);
});

Deno.test("openSource() splits a long text into payloads, and no surrogate pair", async () => {
  const text = "\u0000😀".repeat(30_000);
  const payloads = await readAll(respond(text, "text/plain", 1e9));
  ok(payloads.length > 1);
  for (const payload of payloads) {
    ok(encodeUtf8(payload).length <= 60 * 1024);
    ok(JSON.parse(payload).isWellFormed());
  }
  equal(payloads.map((payload) => JSON.parse(payload)).join(""), text);
});

Deno.test("openSource() passes on any text of a response, however it is cut", async () => {
  const size = fc.integer({ min: 1, max: 5 });
  const property = fc.asyncProperty(awkwardText, size, fc.boolean(), async (text, size, marked) => {
    const wellFormed = text.toWellFormed();
    // One byte order mark is removed. All others are text.
    const source = respond(`${marked ? "\uFEFF" : ""}${wellFormed}`, "text/plain", size);
    const payloads = await readAll(source);
    const expected = marked ? wellFormed : wellFormed.replace(/^\uFEFF/, "");
    equal(payloads.map((payload) => JSON.parse(payload)).join(""), expected);
  });
  await fc.assert(property, repetitions(100));
});

const data: [data: string, payload: string][] = [
  ["Hello", '"Hello"'],
  ["1.0", '"1.0"'],
  ["null", '"null"'],
  ["[DONE]", '"[DONE]"'],
  ['{"a":', '"{\\"a\\":"'],
  ['{"id":12345678901234567890,"a":1.0}', '{"id":12345678901234567890,"a":1.0}'],
  ["[1, 2]", "[1, 2]"],
  ['"Luke"', '"Luke"'],
  [' {"a":1}', '" {\\"a\\":1}"'],
  ["", '""'],
];

for (const [text, payload] of data) {
  Deno.test(`openSource() takes the data ${JSON.stringify(text)} of an event as ${payload}`, async () => {
    deepEqual(await readAll(respond(`data: ${text}\n\n`, "text/event-stream")), [payload]);
  });
}

Deno.test("openSource() reads an event stream, and passes over what is no event", async () => {
  const text = "\uFEFF: hi\nretry: 1\n\nid: 1\nevent: error\ndata: a\ndata: b\r\n\r\n" +
    'event: runnel.live\ndata: {"replayed":0}\n\nevent: x\n\ndata: [1,\ndata: 2]\n\ndata: cut';
  for (const size of [1, 2, 1000]) {
    const source = respond(text, "Text/Event-Stream; charset=utf-8", size);
    deepEqual(await readAll(source), ['"a\\nb"', "[1,\n2]"]);
  }
});

Deno.test("openSource() reads NDJSON by lines, the last one without its break", async () => {
  const text = '\uFEFF{"a":1.0}\r\n\n "b"\n12345678901234567890';
  for (const size of [1, 2, 1000]) {
    const payloads = await readAll(respond(text, "application/x-ndjson", size));
    deepEqual(payloads, ['{"a":1.0}\r', ' "b"', "12345678901234567890"]);
  }
});

const refused: [what: string, source: Response, message: string][] = [
  [
    "a line that is not JSON",
    respond("1\n\nLuke\n", "application/x-ndjson"),
    "Cannot send: line 3 of the source is not JSON",
  ],
  [
    "a line that is too long",
    respond(`1\n${"1".repeat(512 * 1024 + 1)}`, "application/x-ndjson", 1e5),
    "Cannot send: line 2 of the source has more than 524288 bytes",
  ],
  [
    "an event that is too long",
    respond(`data: ${"1".repeat(512 * 1024)}`, "text/event-stream", 1e5),
    "Cannot send: an event of the source has more than 524288 bytes",
  ],
  [
    "a payload that is too large",
    respond(`data: [${"1".repeat(60 * 1024)}]\n\n`, "text/event-stream", 1e5),
    "Cannot send: payload: it has 61442 bytes of JSON, expected 61440 at most",
  ],
  [
    "a payload that is too deep",
    respond(`${"[".repeat(513)}${"]".repeat(513)}\n`, "application/x-ndjson", 1e5),
    "Cannot send: payload: it is more than 512 levels deep",
  ],
  [
    "a body that is not bytes",
    { ...bodyless(), body: streamOf("data: 1\n\n") } as Response,
    "Cannot send: the body of the response: expected bytes",
  ],
];

function bodyless() {
  const headers = new Headers({ "Content-Type": "text/event-stream" });
  return { ok: true, status: 200, headers, bodyUsed: false, body: null };
}

for (const [what, source, message] of refused) {
  Deno.test(`openSource() refuses ${what}`, async () => {
    const error = await readAll(source).catch((error) => error);
    equal(error.message, message);
  });
}

Deno.test("openSource() yields nothing of a response without a body", async () => {
  deepEqual(await readAll(new Response(null, { status: 204 })), []);
});

Deno.test("openSource() takes a response of another implementation, whose body is iterable", async () => {
  const source = { ...bodyless(), body: generate(encodeUtf8("data: [1]\n\n")) };
  deepEqual(await readAll(source as unknown as Response), ["[1]"]);
});

Deno.test("openSource() refuses a response that is not ok, and cancels its body", () => {
  let wasCanceled = false;
  const body = new ReadableStream({ cancel: () => void (wasCanceled = true) });
  throws(() => openSource(new Response(body, { status: 429 })), {
    message: "Cannot send: the source answered 429. " +
      "Expected a response with a status from 200 to 299",
  });
  ok(wasCanceled);
});

Deno.test("openSource() refuses a response that was read", async () => {
  const response = new Response("Luke");
  await response.text();
  throws(
    () => openSource(response),
    /^TypeError: Cannot send: the body of the response was already/,
  );
});

for (const source of [undefined, null, 1, "Luke", ["Luke"], {}, Promise.resolve()]) {
  Deno.test(`openSource() refuses ${Deno.inspect(source)}`, () => {
    throws(() => openSource(source), {
      name: "TypeError",
      message: "Cannot send: source: expected an async iterable, a ReadableStream or a Response" +
        (source instanceof Promise ? ", got a promise. Await it first" : ""),
    });
  });
}
