import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import {
  append,
  DeliveryError,
  type NewEvent,
  publish,
  type PublishOptions,
} from "../../lib/client/publish.ts";
import { serveService } from "../support/servers/serve_service.ts";

const order: NewEvent = { pipeline: "p_a", channel: "orders", payload: { number: 17 } };

/** The payloads of a pipeline that are stored. */
async function stored(url: string, pipeline = "p_a"): Promise<unknown[]> {
  const { events } = await (await fetch(`${url}/pipelines/${pipeline}/events`)).json();
  return events.map(({ payload }: { payload: unknown }) => payload);
}

Deno.test("publish() stores an event, or several in order", async () => {
  await using service = await serveService();
  const [first, ...rest] = await publish(service.url, order);
  equal(first!.channel, "orders");
  deepEqual(rest, []);
  const events = [1, 2, 3].map((payload) => ({ ...order, payload }));
  const delivered = await publish(new URL(service.url), events);
  deepEqual(delivered.map(({ id }) => id.split("-").at(-1)), ["2", "3", "4"]);
  deepEqual(await stored(service.url), [{ number: 17 }, 1, 2, 3]);
});

Deno.test("publish() stores events once that are published again with their key", async () => {
  await using service = await serveService();
  const first = await publish(service.url, [order], { key: "order-17" });
  const second = await publish(service.url, [order], { key: "order-17" });
  deepEqual(second, first);
  await rejects(
    publish(service.url, { ...order, payload: 18 }, { key: "order-17" }),
    (error) => error instanceof DeliveryError && error.status === 422,
  );
  deepEqual(await stored(service.url), [{ number: 17 }]);
});

Deno.test("publish() stores events once although the answer is lost", async () => {
  await using service = await serveService();
  let attempts = 0;
  const delivered = await publish(service.url, order, {
    wait: () => Promise.resolve(),
    async fetch(url, init) {
      const response = await fetch(url, init);
      if (++attempts > 1) return response;
      await response.body?.cancel();
      throw new TypeError("network down");
    },
  });
  equal(attempts, 2);
  equal(delivered.length, 1);
  deepEqual(await stored(service.url), [{ number: 17 }]);
});

Deno.test("publish() sends the token, and rejects a refusal with what is unsent", async () => {
  const token = "publisher-token-of-32-characters";
  await using service = await serveService({ settings: { RUNNEL_PUBLISH_TOKENS: token } });
  equal((await publish(service.url, order, { token })).length, 1);
  await rejects(publish(service.url, order), (error) => {
    if (!(error instanceof DeliveryError)) return false;
    deepEqual(error.unsent[0]!.events, [{ channel: "orders", payload: { number: 17 } }]);
    return error.status === 401 && /^Cannot deliver 1 of 1 events: /.test(error.message);
  });
});

Deno.test("publish() refuses what no request can be, before it sends anything", async () => {
  const fetch = () => Promise.reject(new Error("it was sent"));
  const many = Array.from({ length: 1001 }, () => order);
  for (
    const [events, options] of [
      [[], {}],
      [[order, { ...order, pipeline: "p_b" }], {}],
      [{ ...order, channel: "" }, {}],
      [{ ...order, payload: undefined }, {}],
      [{ ...order, pipeline: "a" }, {}],
      [order, { token: "with space" }],
      [order, { key: "" }],
      [order, { key: "with space" }],
      [many, { key: "k" }],
    ] as const
  ) {
    await rejects(publish("http://localhost:8000", events, { ...options, fetch }), TypeError);
  }
});

const EVENT = "Cannot publish: expected { pipeline, channel, payload }, or a list of them";
const KEY = "Cannot publish: the key: expected 1 to 255 visible ASCII characters";
const MAX_MS = "Cannot send: maxMs: expected a number of milliseconds, 0 or more";
const ID = "expected p_ followed by 1 to 62 letters, digits, _ or -";

/** Arguments of a program without types, and the message that tells what was expected. */
const INVALID: [events: unknown, options: unknown, message: string][] = [
  ...[undefined, null, 17, "p_a", [undefined], [null], [order, 17]].map((
    events,
  ): [unknown, unknown, string] => [events, {}, EVENT]),
  [[], {}, "Cannot publish: expected events of one pipeline, got 0"],
  [{ ...order, pipeline: ["p_a"] }, null, `Cannot send to pipeline ["p_a"]: ${ID}`],
  [{}, {}, `Cannot send to pipeline undefined: ${ID}`],
  [
    { pipeline: "p_a" },
    {},
    "Cannot send: channel: expected a string, got a value of type undefined",
  ],
  ...[null, 17, ""].map((key): [unknown, unknown, string] => [order, { key }, KEY]),
  ...[null, "1", -1, NaN].map((maxMs): [unknown, unknown, string] => [order, { maxMs }, MAX_MS]),
  [order, { fetch: "GET" }, "Cannot send: fetch: expected a function"],
  [order, { onRetry: true }, "Cannot send: onRetry: expected a function"],
];

for (const [index, [events, options, message]] of INVALID.entries()) {
  Deno.test(`publish() tells what it expected, ${index}: ${message.slice(0, 50)}`, async () => {
    const never = { fetch: () => Promise.reject(new Error("it was sent")) };
    const given = options && { ...never, ...options };
    await rejects(publish("http://localhost:8000", events as NewEvent, given as PublishOptions), {
      name: "TypeError",
      message,
    });
  });
}

Deno.test("append() tells what it expected", async () => {
  const source = async function* () {};
  const channel = "Cannot send: channel: expected a string, got a value of type undefined";
  for (
    const [pipeline, from, options, message] of [
      ["p_a", source(), undefined, channel],
      ["p_a", source(), {}, channel],
      [["p_a"], source(), { channel: "c" }, `Cannot send to pipeline ["p_a"]: ${ID}`],
      ["p_a", source(), { channel: "c", maxMs: NaN }, MAX_MS],
      [
        "p_a",
        "text",
        { channel: "c" },
        "Cannot send: source: expected an async iterable, a ReadableStream or a Response",
      ],
    ]
  ) {
    const args = ["http://localhost:8000", pipeline, from, options] as Parameters<typeof append>;
    await rejects(append(...args), { name: "TypeError", message });
  }
});

Deno.test("append() stores what a source yields, and ends the run", async () => {
  await using service = await serveService();
  async function* answer() {
    yield* ["Hello", " ", "there"];
  }
  const options = { channel: "answer", end: true };
  const delivered = await append(service.url, "p_run", answer(), options);
  equal(delivered.length, 3);
  const events = await (await service.subscribe("p_run/sse")).until("runnel.end");
  deepEqual(events.map(({ type, data }) => `${type} ${data}`), [
    'answer "Hello"',
    'answer " "',
    'answer "there"',
    'runnel.live {"replayed":3}',
    'runnel.end {"events":3}',
  ]);
  await rejects(append(service.url, "p_run", answer(), options), DeliveryError);
});

Deno.test("append() stores what came before an error of its source, and does not end the run", async () => {
  await using service = await serveService();
  const failure = new Error("the model has failed");
  async function* answer() {
    yield "Hello";
    await Promise.resolve();
    throw failure;
  }
  await rejects(
    append(service.url, "p_run", answer(), { channel: "answer", end: true }),
    failure,
  );
  deepEqual(await stored(service.url, "p_run"), ["Hello"]);
  equal((await publish(service.url, { ...order, pipeline: "p_run" })).length, 1);
});

Deno.test("append() reads the event stream of a model", async () => {
  await using service = await serveService();
  const source = new Response('data: {"token":"Hello"}\n\ndata: [DONE]\n\n', {
    headers: { "Content-Type": "text/event-stream" },
  });
  await append(service.url, "p_run", source, { channel: "answer" });
  deepEqual(await stored(service.url, "p_run"), [{ token: "Hello" }, "[DONE]"]);
});
