import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { type ConnectionState, subscribe, type SubscribeError } from "../../lib/client/mod.ts";
import {
  block,
  Collected,
  live,
  type ScriptedRequest,
  startScripted,
} from "../support/clients/scripted_service.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { advanceUntil, flush, until } from "../support/wait.ts";

const HTML = { headers: { "Content-Type": "text/html" } };

/** Failures after which the client comes back by itself, and the reasons that it tells. */
const TRANSIENT: [string, (request: ScriptedRequest) => void, string][] = [
  ["a network error", (request) => request.fail(), "network down"],
  ...[408, 425, 429, 500, 501, 502, 503, 504, 520].map((
    status,
  ): [string, (request: ScriptedRequest) => void, string] => [
    `status ${status}`,
    (request) => request.answer(Response.json({ detail: "Later" }, { status })),
    `No event stream: ${status} Later`,
  ]),
  [
    "a page to sign in",
    (request) => request.answer(new Response("<p>Sign in", HTML)),
    "No event stream: 200 text/html",
  ],
  [
    "another type with a similar name",
    (request) =>
      request.answer(new Response("", { headers: { "Content-Type": "text/event-stream-2" } })),
    "No event stream: 200 text/event-stream-2",
  ],
  ...[205, 299, 304].map((status): [string, (request: ScriptedRequest) => void, string] => [
    `status ${status}`,
    (request) => request.answer(new Response(null, { status })),
    `No event stream: ${status} `,
  ]),
  [
    "a page with status 502",
    (request) => request.answer(new Response("<p>", { status: 502, ...HTML })),
    "No event stream: 502 text/html",
  ],
  [
    "JSON that breaks off",
    (request) =>
      request.answer(
        new Response("{", { status: 503, headers: { "Content-Type": "application/json" } }),
      ),
    "No event stream: 503 application/json",
  ],
  ["an empty stream", (request) => request.end(), "The stream ended"],
  [
    "the stream of a transient refusal",
    (request) => request.end("retry: 4000\n"),
    "The stream ended",
  ],
  [
    "a cut",
    async (request) => {
      request.send(live("e-1"));
      await flush();
      request.fail("connection reset");
    },
    "connection reset",
  ],
  [
    "a cut inside of an event",
    async (request) => {
      request.send("event: orders\ndata: 7\nid: e-9\n");
      await flush();
      request.fail("connection reset");
    },
    "connection reset",
  ],
  [
    "an event without an end",
    (request) => request.send(`id: e-9\ndata: ${"x".repeat(1_200_000)}`),
    "An event has no end",
  ],
];

for (const [name, fail, reason] of TRANSIENT) {
  Deno.test(`subscribe() comes back after ${name}, with the same ID`, async () => {
    const { clock, service, subscription, states } = startScripted({ lastEventId: "e-1" });
    const collected = new Collected(subscription);
    fail(await service.next());
    await until(() => states.at(-1)!.name === "waiting");
    const state = states.at(-1)!;
    equal(state.name === "waiting" && state.reason, reason);
    equal(service.untaken, 0);
    const request = await advanceUntil(clock, service.next(), 1000);
    equal(request.lastEventId, "e-1");
    request.send(block("orders", 7, "e-2"), live("e-2"));
    await until(() => states.at(-1)!.name === "live");
    deepEqual(collected.payloads, [7]);
    await subscription[Symbol.asyncDispose]();
    await flush();
    equal(clock.liveTimers, 0);
    equal(collected.error, null);
  });
}

for (const status of [400, 401, 403, 404, 405, 406, 409, 410, 413, 418, 422, 451]) {
  Deno.test(`subscribe() rejects status ${status}, and does not come back`, async () => {
    const { clock, service, subscription } = startScripted();
    const collected = new Collected(subscription);
    const body = { type: "urn:runnel:problem:x", detail: "Because" };
    (await service.next()).answer(Response.json(body, { status }));
    await until(() => collected.isOver);
    deepEqual({ ...collected.error as SubscribeError }, {
      name: "SubscribeError",
      status,
      ...body,
    });
    clock.advance(3_600_000);
    equal(clock.liveTimers, 0);
    equal(service.untaken, 0);
  });
}

Deno.test("subscribe() ends with status 204: it has all events of the run", async () => {
  const { service, subscription, states } = startScripted({ lastEventId: "e-7" });
  const collected = new Collected(subscription);
  (await service.next()).answer(new Response(null, { status: 204 }));
  await until(() => collected.isOver);
  deepEqual([collected.error, collected.events], [null, []]);
  deepEqual(states.at(-1), { name: "ended", transport: "stream" });
  await subscription.closed;
});

Deno.test("subscribe() waits for as long as Retry-After says, and its back-off besides", async () => {
  const { clock, service, subscription, states } = startScripted();
  void new Collected(subscription);
  const date = () => new Date(clock.now() + 60_000).toUTCString();
  for (const [value, ms] of [[() => "7", 9000], [date, 63_000], [() => "soon", 6000]] as const) {
    const request = await advanceUntil(clock, service.next(), 1000);
    request.answer(new Response(null, { status: 503, headers: { "Retry-After": value() } }));
    await until(() => states.at(-1)!.name === "waiting");
    const state = states.at(-1)!;
    // A date has no fractions of a second.
    equal(state.name === "waiting" && Math.ceil(state.ms / 1000) * 1000, ms);
  }
  subscription.close();
});

Deno.test("subscribe() doubles its wait until it is live again", async () => {
  const { clock, service, subscription, states } = startScripted();
  void new Collected(subscription);
  const waits = () => states.flatMap((state) => state.name === "waiting" ? [state.ms] : []);
  for (let count = 0; count < 3; count++) (await advanceUntil(clock, service.next(), 500)).fail();
  (await advanceUntil(clock, service.next(), 500)).end("retry: 1000\n", live("e-1"));
  await until(() => waits().length === 4);
  (await advanceUntil(clock, service.next(), 500)).fail();
  await until(() => waits().length === 5);
  deepEqual(waits(), [2000, 3000, 6000, 1000, 1500]);
  subscription.close();
});

Deno.test("subscribe() does not grow its wait while events arrive, though it is never live", async () => {
  const { clock, service, subscription, states } = startScripted();
  void new Collected(subscription);
  for (let count = 1; count < 5; count++) {
    (await advanceUntil(clock, service.next(), 500)).end(block("orders", count, `e-${count}`));
  }
  await until(() => states.filter(({ name }) => name === "waiting").length === 4);
  deepEqual(states.flatMap((state) => state.name === "waiting" ? [state.ms] : []), [
    ...[2000, 2000, 2000, 2000],
  ]);
  subscription.close();
});

Deno.test("subscribe() tells the reason of a service that is full, and obeys its Retry-After", async () => {
  await using service = await serveService({ settings: { RUNNEL_MAX_SUBSCRIBERS: "1" } });
  await using _first = await service.subscribe("p_b/sse").then((stream) => ({
    [Symbol.asyncDispose]: () => stream.cancel(),
  }));
  const states: ConnectionState[] = [];
  await using subscription = subscribe(service.url, {
    pipelines: "p_a",
    random: () => 0,
    onState: (state) => void states.push(state),
  });
  void new Collected(subscription);
  await until(() => states.at(-1)?.name === "waiting");
  const state = states.at(-1)!;
  match(state.name === "waiting" ? state.reason : "", /: 503 Cannot subscribe: .*full/);
  equal(state.name === "waiting" && state.ms > 2000, true);
});

Deno.test("subscribe() sends the old ID again if a second connection brings nothing", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  (await service.next()).end(block("orders", 1, "e-1"), live("e-1"));
  const ids = [];
  for (let count = 0; count < 3; count++) {
    const request = await advanceUntil(clock, service.next(), 500);
    ids.push(request.lastEventId);
    request.end("retry: 500\n");
  }
  deepEqual(ids, ["e-1", "e-1", "e-1"]);
  subscription.close();
});

Deno.test("subscribe() continues after a block without data, and not after one without an end", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  (await service.next()).end(
    live("e-1"),
    ":keepalive\nid: e-5\n\n",
    "event: x\ndata: 1\nid: e-6\n",
  );
  const request = await advanceUntil(clock, service.next(), 500);
  equal(request.lastEventId, "e-5");
  equal(subscription.lastEventId, "e-5");
  subscription.close();
});

Deno.test("subscribe() sends an ID of any characters, as an EventSource does", async () => {
  const { service, subscription } = startScripted({ lastEventId: "…" });
  void new Collected(subscription);
  equal((await service.next()).lastEventId, "\u00e2\u0080\u00a6");
  subscription.close();
});

Deno.test("subscribe() sends the token, the filter and the history", async () => {
  const { service, subscription } = startScripted({
    token: "t-1",
    channels: ["a", "b&c"],
    history: "all",
    since: new Date(0),
  });
  void new Collected(subscription);
  const { url, headers } = await service.next();
  equal(url.search, "?channel=a&channel=b%26c&history=all&since=1970-01-01T00%3A00%3A00.000Z");
  equal(headers.get("Authorization"), "Bearer t-1");
  subscription.close();
});

Deno.test("subscribe() is cut by its watchdog 40 seconds after the last byte", async () => {
  const { clock, service, subscription, states } = startScripted();
  void new Collected(subscription);
  const request = await service.next();
  request.send(live("e-1"));
  await flush();
  for (let count = 0; count < 3; count++) {
    clock.advance(39_000);
    await flush();
    equal(request.signal.aborted, false);
    request.send(":keepalive\n");
    await flush();
  }
  clock.advance(40_000);
  equal(request.signal.aborted, true);
  await until(() => states.at(-1)!.name === "waiting");
  equal(request.isCanceled, true);
  const state = states.at(-1)!;
  equal(state.name === "waiting" && state.reason, "Nothing arrived for 40 seconds");
  equal((await advanceUntil(clock, service.next(), 500)).lastEventId, "e-1");
  subscription.close();
});

Deno.test("subscribe() waits as long as stallMs for a service with rare keep-alives", async () => {
  const { clock, service, subscription } = startScripted({ stallMs: 100_000 });
  void new Collected(subscription);
  const request = await service.next();
  request.send(live("e-1"));
  await flush();
  clock.advance(49_000);
  globalThis.dispatchEvent(new Event("online"));
  clock.advance(50_000);
  equal(request.signal.aborted, false);
  clock.advance(1000);
  equal(request.signal.aborted, true);
  subscription.close();
});

Deno.test("subscribe() comes back at once from a sleep of the machine", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  const request = await service.next();
  request.send(live("e-1"));
  await flush();
  clock.advance(4000);
  // The timers of the platform stand still meanwhile.
  clock.set(clock.now() + 3_600_000);
  clock.advance(1000);
  equal(request.signal.aborted, true);
  await flush();
  clock.advance(2000);
  await flush();
  equal(service.untaken, 1);
  subscription.close();
});

Deno.test("subscribe() is not confused by a clock that is set back", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  const request = await service.next();
  request.send(live("e-1"));
  await flush();
  clock.set(0);
  clock.advance(30_000);
  equal(request.signal.aborted, false);
  clock.advance(20_000);
  equal(request.signal.aborted, true);
  subscription.close();
});

Deno.test("subscribe() does not count the time that its consumer takes", async () => {
  const { clock, service, subscription } = startScripted();
  const iterator = subscription[Symbol.asyncIterator]();
  const first = iterator.next();
  const request = await service.next();
  request.send(block("orders", 1, "e-1"), live("e-1"));
  equal((await first).value.id, "e-1");
  equal(clock.liveTimers, 0);
  clock.advance(3_600_000);
  globalThis.dispatchEvent(new Event("online"));
  equal((await iterator.next()).value.type, "live");
  const third = iterator.next();
  request.send(block("orders", 2, "e-2"));
  equal((await third).value.payload, 2);
  equal(request.signal.aborted, false);
  subscription.close();
});

Deno.test("subscribe() reads no further than its consumer", async () => {
  const { service, subscription } = startScripted();
  let pulls = 0;
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    pull(controller) {
      pulls++;
      controller.enqueue(encoder.encode(block("orders", pulls, `e-${pulls}`)));
    },
  }, { highWaterMark: 0 });
  const iterator = subscription[Symbol.asyncIterator]();
  const first = iterator.next();
  (await service.next()).answer(
    new Response(body, { headers: { "Content-Type": "text/event-stream" } }),
  );
  await first;
  await flush();
  equal(pulls, 1);
  await iterator.next();
  equal(pulls, 2);
  await iterator.return!();
  deepEqual(await iterator.next(), { done: true, value: undefined });
});

for (const event of ["online", "visibilitychange"]) {
  Deno.test(`subscribe() tries again at once on ${event}`, async () => {
    const { clock, service, subscription } = startScripted();
    void new Collected(subscription);
    (await service.next()).fail();
    await flush();
    equal(service.untaken, 0);
    globalThis.dispatchEvent(new Event(event));
    const request = await service.next();
    request.send(live("e-1"));
    await flush();
    // A connection that has missed a keep-alive may be dead.
    clock.advance(15_000);
    globalThis.dispatchEvent(new Event(event));
    equal(request.signal.aborted, false);
    clock.advance(5000);
    globalThis.dispatchEvent(new Event(event));
    equal(request.signal.aborted, true);
    subscription.close();
    await flush();
    equal(clock.liveTimers, 0);
  });
}

Deno.test("Subscription.retryNow() ends a wait, and begins the back-off again", async () => {
  const { service, subscription, states } = startScripted();
  void new Collected(subscription);
  for (let count = 0; count < 3; count++) {
    (await service.next()).fail();
    await until(() => states.at(-1)!.name === "waiting");
    const state = states.at(-1)!;
    equal(state.name === "waiting" && state.ms, 2000);
    subscription.retryNow();
  }
  subscription.close();
});

Deno.test("Subscription.retryNow() ends a wait in the callback that is told of it", async () => {
  const scripted = startScripted({
    onState({ name }) {
      if (name === "waiting") scripted.subscription.retryNow();
    },
  });
  const { service, subscription } = scripted;
  void new Collected(subscription);
  for (let count = 0; count < 3; count++) (await service.next()).fail();
  await service.next();
  subscription.close();
});

Deno.test("Subscription.close() leaves no timer in the callback that is told of a wait", async () => {
  const scripted = startScripted({
    onState({ name }) {
      if (name === "waiting") scripted.subscription.close();
    },
  });
  const { clock, service, subscription } = scripted;
  const collected = new Collected(subscription);
  (await service.next()).fail();
  await until(() => collected.isOver);
  equal(clock.liveTimers, 0);
});

Deno.test("Subscription.close() ends a connection in every state", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const states: Record<string, (request: ScriptedRequest) => void> = {
    "connecting": () => {},
    "catching-up": (request) => request.send(":\n"),
    "live": (request) => request.send(live("e-1")),
    "waiting": (request) => request.fail(),
  };
  for (const [name, act] of Object.entries(states)) {
    const { clock, service, subscription } = startScripted();
    const collected = new Collected(subscription);
    const request = await service.next();
    act(request);
    await until(() => subscription.state.name === name);
    subscription.close();
    equal(request.signal.aborted, true);
    await until(() => collected.isOver);
    deepEqual(subscription.state, { name: "closed", transport: "stream" });
    await subscription.closed;
    await flush();
    equal(clock.liveTimers, 0);
    subscription.close();
    subscription.retryNow();
  }
  const { service, subscription } = startScripted({ getToken: () => promise });
  const collected = new Collected(subscription);
  await flush();
  subscription.close();
  await until(() => collected.isOver);
  resolve("t-1");
  await flush();
  equal(service.requests.length, 0);
  // Also if the function that makes requests ignores the signal.
  const deaf = startScripted({
    fetch: () => new Promise<Response>(() => {}),
    getToken() {
      deaf.subscription.close();
      return "t-1";
    },
  });
  const silent = new Collected(deaf.subscription);
  await until(() => silent.isOver);
  const never = startScripted();
  never.subscription.close();
  await never.subscription.closed;
  deepEqual(await never.subscription[Symbol.asyncIterator]().next(), {
    done: true,
    value: undefined,
  });
});

Deno.test("subscribe() is closed by its signal", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const { service, subscription } = startScripted({ signal });
  const collected = new Collected(subscription);
  const request = await service.next();
  controller.abort();
  await until(() => collected.isOver);
  equal(request.signal.aborted, true);
  equal(collected.error, null);
  const late = startScripted({ signal });
  equal(late.subscription.state.name, "closed");
  deepEqual(await late.subscription[Symbol.asyncIterator]().next(), {
    done: true,
    value: undefined,
  });
});

Deno.test("subscribe() names its states, each once", async () => {
  const { clock, service, subscription, states } = startScripted();
  void new Collected(subscription);
  (await service.next()).end(block("orders", 1, "e-1"), live("e-1"), block("orders", 2, "e-2"));
  const request = await advanceUntil(clock, service.next(), 500);
  request.send(live("e-2"), block("runnel.end", { events: 2 }, "e-3"));
  await subscription.closed;
  deepEqual(states.map(({ name }) => name), [
    ...["connecting", "catching-up", "live", "waiting"],
    ...["connecting", "catching-up", "live", "ended"],
  ]);
});

Deno.test("subscribe() passes over control events of later versions", async () => {
  const { service, subscription } = startScripted();
  const collected = new Collected(subscription);
  (await service.next()).send(block("runnel.new", {}, "e-1"), live("e-2"));
  await collected.until(1);
  deepEqual(collected.events.map(({ type }) => type), ["live"]);
  subscription.close();
});

Deno.test("PublishedEvent.payload is parsed when it is read", async () => {
  const { service, subscription } = startScripted();
  const collected = new Collected(subscription);
  (await service.next()).send("event: x\ndata: {\nid: e-1\n\n", block("x", null, "e-2"));
  await collected.until(2);
  const [broken, empty] = collected.events;
  equal((broken as { data: string }).data, "{");
  let thrown: unknown;
  try {
    void (broken as { payload: unknown }).payload;
  } catch (error) {
    thrown = error;
  }
  equal(thrown instanceof SyntaxError, true);
  equal((empty as { payload: unknown }).payload, null);
  subscription.close();
});

Deno.test("subscribe() tells when anything arrived last, keep-alives included", async () => {
  const { clock, service, subscription } = startScripted();
  void new Collected(subscription);
  const request = await service.next();
  equal(subscription.lastReceivedAt, null);
  request.send(live("e-1"));
  await until(() => subscription.lastReceivedAt === clock.now());
  const before = clock.now();
  clock.advance(15_000);
  await flush();
  equal(subscription.lastReceivedAt, before);
  request.send(":keepalive\n");
  await until(() => subscription.lastReceivedAt === before + 15_000);
  subscription.close();
  equal(subscription.lastReceivedAt, before + 15_000);
});
