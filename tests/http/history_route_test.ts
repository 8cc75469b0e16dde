import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import {
  assertHeaders,
  assertProblem,
  createFaultyService,
  post,
  request,
} from "../support/clients/http.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { jsonEvent } from "../support/events.ts";
import { fail } from "../support/fakes/kv.ts";
import { assertIdle, startService, type TestService } from "../support/service.ts";
import { flush } from "../support/wait.ts";

Deno.test("GET /pipelines/:pipeline/events returns times, and payloads as they were sent", async () => {
  await using service = await startService();
  const time = new Date(service.clock.now()).toISOString();
  const sent = '[{"pipeline":"p_a","channel":"a","payload":12345678901234567890},' +
    '{"pipeline":"p_a","channel":"b","payload":{"text":"\\u2028€","n":1.0}}]';
  const json = { "Content-Type": "application/json" };
  const { events } = await (await service.fetch(post("/ingest", sent, json))).json();
  const response = await service.fetch(request("/pipelines/p_a/events"));
  equal(response.status, 200);
  assertHeaders(response, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  const text = await response.text();
  equal(
    text,
    `{"pipeline":"p_a","events":[` +
      `{"id":"${events[0].id}","channel":"a","time":"${time}","payload":12345678901234567890},` +
      `{"id":"${
        events[1].id
      }","channel":"b","time":"${time}","payload":{"text":"\\u2028€","n":1.0}}],` +
      `"lastEventId":"${events[1].id}"}`,
  );
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events returns the newest events of the channels", async () => {
  await using service = await startService();
  for (let i = 1; i <= 103; i++) await service.publish("p_a", i % 2 ? "odd" : "even", i);
  const history = async (query: string) => {
    const response = await service.fetch(request(`/pipelines/p_a/events${query}`));
    const { events } = await response.json();
    return events.map(({ payload }: { payload: number }) => payload);
  };
  deepEqual(await history(""), Array.from({ length: 100 }, (_, i) => i + 4));
  deepEqual(await history("?history=3"), [101, 102, 103]);
  deepEqual(await history("?history=0"), []);
  deepEqual(await history("?history=4&channel=odd"), [97, 99, 101, 103]);
  deepEqual(await history("?channel=odd"), Array.from({ length: 52 }, (_, i) => 2 * i + 1));
  deepEqual(await history("?history=3&channel=odd&channel=even"), [101, 102, 103]);
  deepEqual(await history("?channel=other"), []);
});

Deno.test("GET /pipelines/:pipeline/events returns all events since a time, or the newest of them", async () => {
  await using service = await startService();
  const { clock } = service;
  // A second apart, from the beginning of one.
  clock.set(Date.parse("2026-01-02T03:00:00Z"));
  for (let i = 1; i <= 150; i++) {
    clock.advance(1000);
    await service.publish("p_a", i % 2 ? "odd" : "even", i);
  }
  const history = async (query: string) => {
    const response = await service.fetch(request(`/pipelines/p_a/events?${query}`));
    const { events } = await response.json();
    return events.map(({ payload }: { payload: number }) => payload);
  };
  deepEqual(await history("since=PT2S"), [148, 149, 150]);
  deepEqual(await history("since=PT2S&channel=odd"), [149]);
  deepEqual(await history("since=2026-01-02T03:00:03Z&history=2"), [149, 150]);
  deepEqual(await history("since=2026-01-02T03:00:03Z&history=2&channel=odd"), [147, 149]);
  deepEqual(await history("since=2026-01-02T03:02:28Z&history=50&channel=odd"), [149]);
  deepEqual(await history("since=2026-01-02T04:02:28%2B01:00&history=all"), [148, 149, 150]);
  deepEqual(await history("since=PT2S&history=0"), []);
  deepEqual(await history("since=PT2S&channel=other"), []);
  deepEqual(await history("since=2026-01-02T03:02:31Z"), [150]);
  clock.advance(1);
  deepEqual(await history("since=2027-01-01T00:00:00Z"), []);
  // All that are kept, though the history has 100 without a time.
  deepEqual(await history("since=P1D"), Array.from({ length: 150 }, (_, i) => i + 1));
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events returns the position of an unused pipeline", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  const text = await (await service.fetch(request("/pipelines/p_a/events"))).text();
  equal(kv.commits, 0);
  const id = (await service.publish("p_a", "events", 1)).replace("-1", "-0");
  equal(text, `{"pipeline":"p_a","events":[],"lastEventId":"${id}"}`);
});

Deno.test("GET /pipelines/:pipeline/events returns only the channels of the token", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  for (const channel of ["a", "b", "c"]) {
    await service.hub.publish("p_a", [{ ...jsonEvent(channel), channel }]);
  }
  const headers = bearerHeader(await mint({ subscribe: ["p_a"], channels: ["a", "b"] }));
  const channelsOf = async (query: string) => {
    const request = new Request(`http://localhost/pipelines/p_a/events${query}`, { headers });
    const { events } = await (await service.fetch(request)).json();
    return events?.map(({ channel }: { channel: string }) => channel);
  };
  deepEqual(await channelsOf(""), ["a", "b"]);
  deepEqual(await channelsOf("?channel=b"), ["b"]);
  equal(await channelsOf("?channel=b&channel=c"), undefined);
});

/** Publishes 60 KB events, and returns the number of pages that a history of them has. */
async function publishLarge(service: TestService, count: number): Promise<number> {
  for (let i = 0; i < count; i++) await service.publish("p_a", "events", "x".repeat(60_000));
  return Math.ceil(count / 4);
}

Deno.test("GET /pipelines/:pipeline/events sends a large history in pages of 256 KiB", async () => {
  await using service = await startService();
  const pages = await publishLarge(service, 10);
  const response = await service.fetch(request("/pipelines/p_a/events"));
  const sizes: number[] = [];
  let text = "";
  for await (const chunk of response.body!) {
    sizes.push(chunk.length);
    text += new TextDecoder().decode(chunk);
  }
  equal(sizes.length, pages);
  ok(Math.max(...sizes) <= 256 * 1024, `${sizes}`);
  equal(JSON.parse(text).events.length, 10);
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events reads only the head for HEAD, and leaves nothing open", async () => {
  await using service = await startService();
  const id = await service.publish("p_a", "events", 1);
  const { next } = service.kv.calls;
  const response = await service.fetch(request("/pipelines/p_a/events", { method: "HEAD" }));
  equal(response.status, 200);
  assertHeaders(response, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Vary": "Accept",
    "Last-Event-ID": id,
  });
  equal(response.body, null);
  equal(service.kv.calls.next, next);
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events answers a status if the log fails before the first byte", async () => {
  await using service = await startService();
  service.kv.script("get", fail());
  const response = await service.fetch(request("/pipelines/p_a/events"));
  await assertProblem(response, 503, "log-unavailable");
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events leaves the document broken if the log fails later", async () => {
  await using service = await startService();
  await publishLarge(service, 10);
  const response = await service.fetch(request("/pipelines/p_a/events"));
  service.kv.script("get", fail());
  await rejects(response.text(), { type: "log-unavailable" });
  await assertIdle(service);
});

Deno.test("GET /pipelines/:pipeline/events limits unread histories by address and in total", async () => {
  await using service = await startService({
    settings: { RUNNEL_MAX_HISTORIES: "3", RUNNEL_MAX_ADDRESS_HISTORIES: "2" },
  });
  await publishLarge(service, 10);
  const connections: PromiseWithResolvers<void>[] = [];
  const read = (hostname: string) => {
    const connection = Promise.withResolvers<void>();
    connections.push(connection);
    return service.fetch(request("/pipelines/p_a/events"), {
      remoteAddr: { transport: "tcp", hostname, port: 1 },
      completed: connection.promise,
    });
  };
  const unread = [await read("192.0.2.1"), await read("192.0.2.1")];
  const refused = await read("192.0.2.1");
  equal(refused.headers.get("Retry-After") !== null, true);
  await assertProblem(refused, 429, "too-many-requests");
  unread.push(await read("192.0.2.2"));
  await assertProblem(await read("192.0.2.3"), 503, "overloaded");
  // A client that was cut off for not reading keeps its place.
  service.clock.advance(120_000);
  for (const response of unread) await rejects(response.text());
  equal(service.hub.stats.histories, 3);
  for (const { resolve } of connections) resolve();
  await flush();
  const response = await read("192.0.2.1");
  equal((await response.json()).events.length, 10);
  connections.at(-1)!.resolve();
  await assertIdle(service);
});
