import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import {
  assertProblem,
  createFaultyService,
  EVENT,
  post,
  request,
} from "../support/clients/http.ts";
import { assertIdle, jsonPost, startService } from "../support/service.ts";

const json = { "Content-Type": "application/json" };
const lines = { "Content-Type": "application/x-ndjson" };
const broken = () =>
  new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"pipeline":"p_a",')),
    pull: (controller) => controller.error(new Error("connection reset")),
  });
const filling = (bytes: number) => JSON.stringify({ ...EVENT, payload: "x".repeat(bytes) });
const deep = (levels: number) =>
  `{"pipeline":"p_a","channel":"events","payload":${"[".repeat(levels)}${"]".repeat(levels)}}`;
const withBadMiddle = [EVENT, { ...EVENT, channel: "error" }, EVENT];
const twoPipelines = [EVENT, { ...EVENT, pipeline: "p_b" }];
const withChannel = (channel: unknown) =>
  post("/ingest", JSON.stringify({ ...EVENT, channel }), json);
const withPipeline = (pipeline: unknown) =>
  post("/ingest", JSON.stringify({ ...EVENT, pipeline }), json);
const withKey = (key: string) => jsonPost("/ingest", EVENT, { "Idempotency-Key": key });
const raw = (path: string, headers: HeadersInit = {}) => post(`/ingest/${path}`, "1", headers);
const subscribe = (pathAndQuery: string) => request(`/pipelines/${pathAndQuery}`);
const channels = (count: number) =>
  Array.from({ length: count }, (_, i) => `channel=c${i}`).join("&");

type Case = [name: string, make: () => Request, detail: RegExp];

const MALFORMED_REQUEST: Case[] = [
  ["no body", () => post("/ingest", null, json), /empty/],
  ["an empty body", () => post("/ingest", "", json), /empty/],
  ["an empty NDJSON body", () => post("/ingest", "\n \n", lines), /empty/],
  ["truncated JSON", () => post("/ingest", '{"pipeline":', json), /JSON/],
  [
    "truncated NDJSON",
    () => post("/ingest", `${JSON.stringify(EVENT)}\n{"pi`, lines),
    /Event 1 is not JSON/,
  ],
  [
    "a body that is not UTF-8",
    () => post("/ingest", new Uint8Array([0x22, 0xff, 0x22]), json),
    /UTF-8/,
  ],
  ["an upload that ends early", () => post("/ingest", broken(), json), /ended early/],
  ["a raw upload that ends early", () => post("/ingest/p_a/b", broken()), /ended early/],
  ["a pipeline without p_ in a raw path", () => raw("a/events"), /pipeline: expected p_/],
  [
    "a byte that is not UTF-8 in a raw path's channel",
    () => raw("p_a/%ff"),
    /percent-encoded UTF-8/,
  ],
  ["raw JSON that is truncated", () => post("/ingest/p_a/b", '{"a"', json), /JSON/],
  ["raw JSON that is empty", () => post("/ingest/p_a/b", "", json), /JSON/],
  ["an empty Idempotency-Key", () => withKey(""), /Idempotency-Key: expected 1 to 255/],
  ["an Idempotency-Key with a space", () => withKey("a b"), /Idempotency-Key/],
  ["an Idempotency-Key beyond ASCII", () => withKey("ä"), /Idempotency-Key/],
  ["an Idempotency-Key of 256 characters", () => withKey("k".repeat(256)), /Idempotency-Key/],
  [
    "a bad Idempotency-Key in the raw form",
    () => raw("p_a/b", { "Idempotency-Key": "a b" }),
    /Idempotency-Key/,
  ],
  ["a stream of a pipeline without p_", () => subscribe("a/sse"), /pipeline: expected p_/],
  ["a stream of a pipeline with a line break", () => subscribe("p_a%0A/sse"), /pipeline/],
  ["a stream of a pipeline that is not UTF-8", () => subscribe("p_%ff/sse"), /pipeline/],
  ["a history of a pipeline without p_", () => subscribe("a/events"), /pipeline/],
  [
    "a clear of a pipeline without p_",
    () => request("/pipelines/a/events", { method: "DELETE" }),
    /pipeline/,
  ],
  ["21 channels", () => subscribe(`p_a/sse?${channels(21)}`), /channel: expected 20/],
  ["an empty channel to subscribe to", () => subscribe("p_a/sse?channel="), /channel/],
  [
    "the channel error to subscribe to",
    () => subscribe("p_a/sse?channel=a&channel=error"),
    /EventSource/,
  ],
  ["a line break in a channel to subscribe to", () => subscribe("p_a/sse?channel=%0A"), /channel/],
  ["a bad query of the history", () => subscribe("p_a/events?history=101"), /history/],
  ...["101", "-1", "1.5", "1e1", "x", "", "0x10", "%2010"].map((value): Case => [
    `history=${value}`,
    () => subscribe(`p_a/sse?history=${value}`),
    /history: expected a whole number from 0 to 100/,
  ]),
];

const UNSUPPORTED_MEDIA_TYPE: Case[] = [
  [
    "a wrong content type",
    () => post("/ingest", "a=1", { "Content-Type": "application/x-www-form-urlencoded" }),
    /application\/json or application\/x-ndjson/,
  ],
  [
    "no content type",
    () => post("/ingest", new TextEncoder().encode(JSON.stringify(EVENT))),
    /expected Content-Type/,
  ],
  [
    "an encoded body",
    () => jsonPost("/ingest", EVENT, { "Content-Encoding": "gzip" }),
    /Content-Encoding/,
  ],
  [
    "an encoded raw body",
    () => raw("p_a/events", { "Content-Encoding": "br" }),
    /Content-Encoding/,
  ],
];

const INVALID_EVENT: Case[] = [
  ["an empty array", () => post("/ingest", "[]", json), /1 to 1000 events/],
  ["1001 events", () => jsonPost("/ingest", Array(1001).fill(EVENT)), /1 to 1000 events, got 1001/],
  [
    "one bad event in the middle of an array",
    () => jsonPost("/ingest", withBadMiddle),
    /event 1: channel/,
  ],
  [
    "one bad event in the middle of NDJSON",
    () => post("/ingest", withBadMiddle.map((event) => JSON.stringify(event)).join("\n"), lines),
    /event 1: channel/,
  ],
  ["two pipelines", () => jsonPost("/ingest", twoPipelines), /event 1: pipeline: expected "p_a"/],
  [
    "a payload over 60 KiB",
    () => post("/ingest", filling(60 * 1024 - 1), json),
    /event 0: payload: it has 61441 bytes/,
  ],
  [
    "a raw payload over 60 KiB",
    () => post("/ingest/p_a/events", "€".repeat(20 * 1024)),
    /61442 bytes/,
  ],
  ["a payload too deep", () => post("/ingest", deep(513), json), /512 levels/],
  ["a payload far too deep", () => post("/ingest", deep(200_000), json), /512/],
  ["a pipeline without p_", () => withPipeline("a"), /pipeline: expected p_/],
  ["a pipeline that is not a text", () => withPipeline(1), /event 0: pipeline/],
  ["a pipeline that is p_ alone", () => withPipeline("p_"), /pipeline/],
  ["a pipeline of 65 characters", () => withPipeline(`p_${"a".repeat(63)}`), /62/],
  ["a pipeline with a line break", () => withPipeline("p_a\n"), /pipeline/],
  ["no payload", () => jsonPost("/ingest", { pipeline: "p_a", channel: "b" }), /payload/],
  ["an unknown field", () => jsonPost("/ingest", { ...EVENT, more: 1 }), /more/],
  ["an event that is not an object", () => post("/ingest", "7", json), /event 0/],
  ["an empty channel", () => withChannel(""), /channel: expected 1 to 128/],
  ["a channel of 129 characters", () => withChannel("x".repeat(129)), /128/],
  ["a channel with a line break", () => withChannel("a\nb"), /channel/],
  ["a channel with NUL", () => withChannel("a\0"), /channel/],
  ["a channel with a lone surrogate", () => withChannel("\ud800"), /well-formed/],
  ["the channel error", () => withChannel("error"), /EventSource/],
  ["the channel open", () => withChannel("open"), /EventSource/],
  ["a reserved channel", () => withChannel("runnel.live"), /runnel\./],
  ["a line break in a raw path's channel", () => raw("p_a/a%0Ab"), /channel/],
  ["NUL in a raw path's channel", () => raw("p_a/%00"), /channel/],
  ["the channel error in a raw path", () => raw("p_a/error"), /EventSource/],
  ["a long channel in a raw path", () => raw(`p_a/${"x".repeat(129)}`), /128/],
  [
    "raw JSON that is too deep",
    () => post("/ingest/p_a/b", "[".repeat(513) + "]".repeat(513), json),
    /512/,
  ],
];

const TOO_LARGE: Case[] = [
  ["a body over the limit", () => post("/ingest", filling(512 * 1024), json), /524288 bytes/],
  [
    "a body that announces to be over the limit",
    () => jsonPost("/ingest", EVENT, { "Content-Length": "524289" }),
    /524288 bytes/,
  ],
  [
    "a body over the limit without Content-Length",
    () => post("/ingest", ReadableStream.from(Array(600).fill(new Uint8Array(1024))), json),
    /524288 bytes/,
  ],
  [
    "a raw body over the limit",
    () => post("/ingest/p_a/events", "x".repeat(512 * 1024 + 1)),
    /524288 bytes/,
  ],
];

const CASES = [
  { status: 400, type: "malformed-request", cases: MALFORMED_REQUEST },
  { status: 415, type: "unsupported-media-type", cases: UNSUPPORTED_MEDIA_TYPE },
  { status: 422, type: "invalid-event", cases: INVALID_EVENT },
  { status: 413, type: "too-large", cases: TOO_LARGE },
];

for (const { status, type, cases } of CASES) {
  for (const [what, make, detail] of cases) {
    Deno.test(`${what} is answered with ${status} ${type}, and changes nothing`, async () => {
      const { service, kv } = await createFaultyService();
      await using _ = service;
      const response = await service.fetch(make());
      match(await assertProblem(response, status, type), detail);
      equal(kv.calls.commit, 0);
      deepEqual(service.reports, []);
      await assertIdle(service);
    });
  }
}

Deno.test("requests exactly at the limits are accepted", async () => {
  await using service = await startService();
  for (
    const [asked, status] of [
      [post("/ingest", filling(60 * 1024 - 2), json), 202],
      [post("/ingest", deep(512), json), 202],
      [jsonPost("/ingest", Array(1000).fill(EVENT)), 202],
      [withChannel("x".repeat(128)), 202],
      [withPipeline(`p_${"a".repeat(62)}`), 202],
      [withKey("k".repeat(255)), 202],
      [jsonPost("/ingest", EVENT, { "Content-Encoding": "identity" }), 202],
      [subscribe(`p_a/sse?${channels(20)}&history=100`), 200],
    ] as const
  ) {
    const response = await service.fetch(asked);
    equal(response.status, status);
    await response.body?.cancel();
  }
});

Deno.test("a body over the limit is cancelled", async () => {
  await using service = await startService();
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(1024)),
    cancel: () => void (cancelled = true),
  });
  await assertProblem(await service.fetch(post("/ingest", endless, json)), 413, "too-large");
  ok(cancelled);
});
