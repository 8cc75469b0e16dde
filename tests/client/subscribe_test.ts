import {
  deepStrictEqual as deepEqual,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import {
  type ClientEvent,
  subscribe,
  SubscribeError,
  type SubscribeOptions,
} from "../../lib/client/mod.ts";
import { subscribe as subscribeShared } from "../../lib/client/shared.ts";
import { block, Collected, live, startScripted } from "../support/clients/scripted_service.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { flush, until } from "../support/wait.ts";

Deno.test("subscribe() yields history, marker and new events of a service, then its end", async () => {
  await using service = await serveService();
  await service.publish("p_a", "orders", 1);
  await using subscription = subscribe(service.url, { pipelines: "p_a" });
  const events: ClientEvent[] = [];
  for await (const event of subscription) {
    events.push(event);
    if (event.type === "live") {
      await service.publish("p_a", "paid", { price: 2 });
      const end = `${service.url}/pipelines/p_a/end`;
      await (await fetch(end, { method: "POST" })).body?.cancel();
    }
  }
  const [, , , { id } = { id: "" }] = events;
  const epoch = id.slice(0, 11);
  deepEqual(events.map((event) => ({ ...event })), [
    { type: "event", pipeline: "p_a", channel: "orders", id: `${epoch}-1`, data: "1", payload: 1 },
    { type: "live", pipeline: "p_a", id: `${epoch}-1`, replayed: 1 },
    {
      type: "event",
      pipeline: "p_a",
      channel: "paid",
      id: `${epoch}-2`,
      data: '{"price":2}',
      payload: { price: 2 },
    },
    { type: "end", pipeline: "p_a", id: `${epoch}-3`, events: 2 },
  ]);
  equal(subscription.lastEventId, `${epoch}-3`);
  equal(subscription.state.name, "ended");
  await subscription.closed;
});

Deno.test("subscribe() requests nothing before the first event is", async () => {
  const { service, subscription } = startScripted();
  await flush();
  equal(service.requests.length, 0);
  const collected = new Collected(subscription);
  const request = await service.next();
  equal(request.url.href, "http://localhost:8000/pipelines/p_a/sse");
  equal(request.headers.get("Accept"), "text/event-stream, application/problem+json");
  equal(request.lastEventId, null);
  subscription.close();
  await until(() => collected.isOver);
  equal(collected.error, null);
});

Deno.test("subscribe() continues after the last event when the stream ends", async () => {
  const { clock, service, subscription, states } = startScripted();
  const collected = new Collected(subscription);
  const first = await service.next();
  first.end("retry: 3000\n", live("e-1"), block("orders", 7, "e-2"));
  await collected.until(2);
  await until(() => states.at(-1)?.name === "waiting");
  deepEqual(states.at(-1), {
    name: "waiting",
    ms: 3000,
    reason: "The stream ended",
    transport: "stream",
  });
  clock.advance(3000);
  const second = await service.next();
  equal(second.lastEventId, "e-2");
  subscription.close();
  await flush();
  equal(clock.liveTimers, 0);
});

Deno.test("subscribe() rejects a permanent refusal with the problem", async () => {
  const { service, subscription, states } = startScripted();
  const collected = new Collected(subscription);
  const problem = { type: "urn:runnel:problem:forbidden", detail: "The token does not cover it" };
  (await service.next()).answer(Response.json(problem, { status: 403 }));
  await until(() => collected.isOver);
  const error = collected.error as SubscribeError;
  equal(error instanceof SubscribeError, true);
  deepEqual({ ...error }, { name: "SubscribeError", status: 403, ...problem });
  equal(error.message, "Cannot subscribe: 403 The token does not cover it");
  await rejects(subscription.closed, error);
  deepEqual(states.at(-1), {
    name: "refused",
    reason: error.message,
    status: 403,
    transport: "stream",
  });
});

Deno.test("subscribe() takes callbacks, and reads on when they have settled", async () => {
  const seen: unknown[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const { service, subscription } = startScripted({
    onEvent({ payload }) {
      seen.push(payload);
      return promise;
    },
    onLive: ({ replayed }) => void seen.push({ replayed }),
  });
  (await service.next()).send(block("orders", 1, "e-1"), block("orders", 2, "e-2"), live("e-2", 2));
  await until(() => seen.length > 0);
  await flush();
  deepEqual(seen, [1]);
  resolve();
  await until(() => seen.length === 3);
  deepEqual(seen, [1, 2, { replayed: 2 }]);
  subscription.close();
  await subscription.closed;
});

Deno.test("subscribe() closes its connection when a loop over it breaks", async () => {
  const { service, subscription, clock } = startScripted();
  void service.next().then((request) => request.send(live("e-1")));
  for await (const { type } of subscription) if (type === "live") break;
  const [request] = service.requests;
  await until(() => request!.isCanceled);
  equal(request!.signal.aborted, true);
  equal(subscription.state.name, "closed");
  equal(clock.liveTimers, 0);
});

Deno.test("subscribe() takes several pipelines on one connection", async () => {
  const { service, subscription } = startScripted({
    pipelines: ["p_a", "p_b"],
    channels: ["x", "y/z"],
  });
  const collected = new Collected(subscription);
  const request = await service.next();
  equal(
    request.url.pathname + request.url.search,
    "/sse?pipeline=p_a&pipeline=p_b&channel=x&channel=y%2Fz",
  );
  request.end(
    block("p_b/y/z", 1, "a-0.b-1"),
    block("runnel.live", { pipeline: "p_a", replayed: 0 }, "a-0.b-1"),
    block("runnel.live", { pipeline: "p_b", replayed: 1 }, "a-0.b-1"),
    block("runnel.end", { pipeline: "p_a", events: 0 }, "a-1.b-1"),
    block("runnel.end", { pipeline: "p_b", events: 1 }, "a-1.b-2"),
  );
  await until(() => collected.isOver);
  deepEqual(collected.events.map((event) => ({ ...event })), [
    { type: "event", pipeline: "p_b", channel: "y/z", id: "a-0.b-1", data: "1", payload: 1 },
    { type: "live", pipeline: "p_a", id: "a-0.b-1", replayed: 0 },
    { type: "live", pipeline: "p_b", id: "a-0.b-1", replayed: 1 },
    { type: "end", pipeline: "p_a", id: "a-1.b-1", events: 0 },
    { type: "end", pipeline: "p_b", id: "a-1.b-2", events: 1 },
  ]);
});

Deno.test("subscribe() goes on when a pipeline whose run has ended is made anew", async () => {
  const { service, subscription } = startScripted({ pipelines: ["p_a", "p_b"] });
  const collected = new Collected(subscription);
  const request = await service.next();
  request.end(
    block("runnel.end", { pipeline: "p_a", events: 0 }, "a-1.b-1"),
    block("runnel.gap", { pipeline: "p_a", missed: null, reason: "unknown" }, "c-0.b-1"),
    block("runnel.end", { pipeline: "p_b", events: 1 }, "c-0.b-2"),
    block("p_a/orders", 1, "c-1.b-2"),
    block("runnel.end", { pipeline: "p_a", events: 1 }, "c-2.b-2"),
  );
  await until(() => collected.isOver);
  deepEqual(collected.events.map(({ type }) => type), ["end", "gap", "end", "event", "end"]);
});

Deno.test("subscribe() takes one channel without a list", async () => {
  const { service, subscription } = startScripted({ channels: "orders" });
  void new Collected(subscription);
  equal((await service.next()).url.search, "?channel=orders");
  subscription.close();
});

/** Arguments of a program without types, by the name of the test. */
type Arguments = [name: string, url: unknown, options: unknown];

const URL_OF_SERVICE = "http://localhost:8000";
const eleven = Array.from({ length: 11 }, (_, index) => `p_${index}`);

const INVALID: Record<string, Arguments[]> = {
  "an http URL": [
    ["no URL", undefined, { pipelines: "p_a" }],
    ["an invalid URL", "nowhere", { pipelines: "p_a" }],
    ["another protocol", "ftp://localhost", { pipelines: "p_a" }],
    ["a URL with a password", "http://user:pass@localhost", { pipelines: "p_a" }],
  ],
  "1 to 10 different pipelines": [
    ["no options", URL_OF_SERVICE, undefined],
    ["options without pipelines", URL_OF_SERVICE, {}],
    ["null", URL_OF_SERVICE, { pipelines: null }],
    ["an empty name", URL_OF_SERVICE, { pipelines: "" }],
    ["no pipeline", URL_OF_SERVICE, { pipelines: [] }],
    ["eleven pipelines", URL_OF_SERVICE, { pipelines: eleven }],
    ["one pipeline twice", URL_OF_SERVICE, { pipelines: ["p_a", "p_a"] }],
  ],
  "a valid since and stallMs": [
    ["an invalid date", URL_OF_SERVICE, { pipelines: "p_a", since: new Date("soon") }],
    ...[0, -1, NaN, "soon", {}].map((stallMs): Arguments => [
      `a stallMs of ${stallMs}`,
      URL_OF_SERVICE,
      { pipelines: "p_a", stallMs },
    ]),
  ],
};

for (const [expected, all] of Object.entries(INVALID)) {
  for (const [name, url, options] of all) {
    Deno.test(`subscribe() expects ${expected}, and refuses ${name}`, () => {
      for (const open of [subscribe, subscribeShared]) {
        throws(() => open(url as string, options as SubscribeOptions), {
          name: "TypeError",
          message: `Cannot subscribe: expected ${expected}`,
        });
      }
    });
  }
}
