import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { type RenewalContext, SubscribeError } from "../../lib/client/mod.ts";
import { block, Collected, live, startScripted } from "../support/clients/scripted_service.ts";
import { advanceUntil, flush, until } from "../support/wait.ts";

const EXPIRED = block("runnel.expired", { reason: "expired" }, "e-1");
const refusal = (status: number) => Response.json({ detail: "No" }, { status });

/** A function for tokens that counts, and remembers its calls. */
function countTokens() {
  const calls: RenewalContext[] = [];
  return { calls, getToken: (context: RenewalContext) => `t-${calls.push(context)}` };
}

Deno.test("subscribe() requests a token once, and again when it has expired", async () => {
  const { calls, getToken } = countTokens();
  const { clock, service, subscription } = startScripted({ getToken });
  const collected = new Collected(subscription);
  const tokens = [];
  for (let count = 0; count < 3; count++) {
    const request = await advanceUntil(clock, service.next(), 500);
    tokens.push(request.headers.get("Authorization"));
    request.end(live("e-1"), ...count === 1 ? [EXPIRED] : []);
  }
  deepEqual(tokens, ["Bearer t-1", "Bearer t-1", "Bearer t-2"]);
  deepEqual(calls, [
    { lastEventId: "", reason: "start" },
    { lastEventId: "e-1", reason: "expired" },
  ]);
  await until(() => collected.events.length === 3);
  deepEqual(collected.events.map(({ type }) => type), ["live", "live", "live"]);
  subscription.close();
});

for (const status of [401, 403]) {
  Deno.test(`subscribe() requests another token at once after status ${status}`, async () => {
    const { calls, getToken } = countTokens();
    const { service, subscription } = startScripted({ getToken });
    void new Collected(subscription);
    (await service.next()).answer(refusal(status));
    const request = await service.next();
    equal(request.headers.get("Authorization"), "Bearer t-2");
    deepEqual(calls.map(({ reason }) => reason), ["start", `${status}`]);
    request.send(live("e-1"));
    await until(() => subscription.state.name === "live");
    subscription.close();
  });

  Deno.test(`subscribe() rejects a second token that gets status ${status}`, async () => {
    const { calls, getToken } = countTokens();
    const { clock, service, subscription } = startScripted({ getToken });
    const collected = new Collected(subscription);
    for (let count = 0; count < 2; count++) (await service.next()).answer(refusal(status));
    await until(() => collected.isOver);
    equal((collected.error as SubscribeError).status, status);
    equal(calls.length, 2);
    equal(clock.liveTimers, 0);
  });
}

Deno.test("subscribe() requests tokens without end from a service that ends each session, but in its time", async () => {
  const { calls, getToken } = countTokens();
  const { clock, service, subscription } = startScripted({ getToken });
  void new Collected(subscription);
  const begin = clock.now();
  for (let count = 0; count < 10; count++) {
    (await advanceUntil(clock, service.next(), 500)).end(live("e-1"), EXPIRED);
  }
  equal(calls.length, 10);
  equal(clock.now() - begin, 9 * 2000);
  subscription.close();
});

Deno.test("subscribe() gives a token that worked another chance after each refusal", async () => {
  const { calls, getToken } = countTokens();
  const { clock, service, subscription } = startScripted({ getToken });
  const collected = new Collected(subscription);
  for (let count = 0; count < 3; count++) {
    (await advanceUntil(clock, service.next(), 500)).answer(refusal(401));
    (await advanceUntil(clock, service.next(), 500)).end(live("e-1"));
  }
  equal(calls.length, 4);
  equal(collected.isOver, false);
  subscription.close();
});

Deno.test("subscribe() has no other token than the one that it was given", async () => {
  const { service, subscription } = startScripted({ token: "t-1" });
  const collected = new Collected(subscription);
  (await service.next()).answer(refusal(401));
  await until(() => collected.isOver);
  equal((collected.error as SubscribeError).status, 401);
});

Deno.test("subscribe() requests a token again after an error, in growing intervals", async () => {
  let calls = 0;
  const { clock, service, subscription, states } = startScripted({
    getToken() {
      if (++calls < 3) throw new TypeError("the server for tokens is down");
      return Promise.resolve("t-1");
    },
  });
  void new Collected(subscription);
  const request = await advanceUntil(clock, service.next(), 500);
  equal(request.headers.get("Authorization"), "Bearer t-1");
  deepEqual(
    states.flatMap((state) => state.name === "waiting" ? [[state.ms, state.reason]] : []),
    [[2000, "the server for tokens is down"], [3000, "the server for tokens is down"]],
  );
  subscription.close();
});

Deno.test("subscribe() ends with a SubscribeError of the function for tokens", async () => {
  const error = new SubscribeError("nobody has entered a token");
  const { service, subscription } = startScripted({ getToken: () => Promise.reject(error) });
  const collected = new Collected(subscription);
  await until(() => collected.isOver);
  equal(collected.error, error);
  equal(error.message, "Cannot subscribe: nobody has entered a token");
  deepEqual(subscription.state, {
    name: "refused",
    reason: error.message,
    status: 0,
    transport: "stream",
  });
  equal(service.requests.length, 0);
});

Deno.test("subscribe() lets a user take an hour to enter a token", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { clock, service, subscription } = startScripted({ getToken: () => promise });
  void new Collected(subscription);
  await flush();
  clock.advance(3_600_000);
  resolve("t-1");
  const request = await service.next();
  equal(request.headers.get("Authorization"), "Bearer t-1");
  equal(request.signal.aborted, false);
  subscription.close();
});

Deno.test("subscribe() lets a user leave the page to look up a token", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { clock, service, subscription, states } = startScripted({ getToken: () => promise });
  void new Collected(subscription);
  await flush();
  clock.advance(60_000);
  globalThis.dispatchEvent(new Event("visibilitychange"));
  await flush();
  resolve("t-1");
  const { url, headers } = await service.next();
  deepEqual([url.search, headers.get("Authorization")], ["", "Bearer t-1"]);
  deepEqual(states.map(({ name }) => name), ["connecting"]);
  subscription.close();
});

Deno.test("subscribe() refuses a token that no header can hold, and does not repeat it", async () => {
  const { service, subscription } = startScripted({ token: "secret \n" });
  const collected = new Collected(subscription);
  await until(() => collected.isOver);
  equal((collected.error as Error).message, "Cannot subscribe: the token is not visible ASCII");
  equal(service.requests.length, 0);
});

Deno.test("subscribe() opens the URL of a ticket, and requests another one when its session is over", async () => {
  const calls: RenewalContext[] = [];
  const { clock, service, subscription } = startScripted({
    channels: ["orders"],
    getUrl: (context) =>
      `http://localhost:9/pipelines/p_a/sse?channel=x&ticket=${calls.push(context)}`,
  });
  const collected = new Collected(subscription);
  const urls = [];
  for (let count = 0; count < 4; count++) {
    const request = await advanceUntil(clock, service.next(), 500);
    urls.push(request.url.href.replace("http://localhost:9/pipelines/p_a/sse?channel=x&", ""));
    if (count === 1) request.answer(refusal(403));
    else request.end(block("orders", count, "e-1"), live("e-1"), ...count === 2 ? [EXPIRED] : []);
  }
  // The same URL again, another one after the refusal, and another one after the expiry.
  deepEqual(urls, ["ticket=1", "ticket=1", "ticket=2", "ticket=3"]);
  deepEqual(calls, [
    { lastEventId: "", reason: "start" },
    { lastEventId: "e-1", reason: "403" },
    { lastEventId: "e-1", reason: "expired" },
  ]);
  await until(() => collected.payloads.length === 3);
  deepEqual(collected.payloads, [0, 2, 3]);
  subscription.close();
});

Deno.test("subscribe() reads the stream of a ticket for several pipelines, and be it for one", async () => {
  const { service, subscription } = startScripted({
    getUrl: () => new URL("http://localhost:9/sse?pipeline=p_a&ticket=1"),
  });
  const collected = new Collected(subscription);
  (await service.next()).send(block("p_a/orders", 1, "e-1"));
  await collected.until(1);
  const [event] = collected.events;
  deepEqual({ ...event, payload: null }, {
    type: "event",
    pipeline: "p_a",
    channel: "orders",
    id: "e-1",
    data: "1",
    payload: null,
  });
  subscription.close();
});
