import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { assertHeaders, createFaultyService, post, request } from "../support/clients/http.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { jsonEvent } from "../support/events.ts";
import { assertIdle, startService } from "../support/service.ts";

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
      }","channel":"b","time":"${time}","payload":{"text":"\\u2028€","n":1.0}}]}`,
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
  deepEqual(await history("?history=4&channel=odd"), [101, 103]);
  deepEqual(await history("?history=3&channel=odd&channel=even"), [101, 102, 103]);
  deepEqual(await history("?channel=other"), []);
});

Deno.test("GET /pipelines/:pipeline/events returns nothing for an unused pipeline", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  const response = await service.fetch(request("/pipelines/p_a/events"));
  equal(await response.text(), '{"pipeline":"p_a","events":[]}');
  equal(kv.commits, 0);
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
