import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { assertProblem, EVENT, post, request } from "../support/clients/http.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { describeEvent, liveMarker, publishNumbers } from "../support/events.ts";
import { jsonPost, startService, type TestService } from "../support/service.ts";

async function end({ fetch }: TestService, headers: HeadersInit = {}): Promise<Response> {
  return await fetch(post("/pipelines/p_a/end", "", headers));
}

Deno.test("POST /pipelines/:pipeline/end ends the run, and repeats its answer", async () => {
  await using service = await startService();
  const [id] = await publishNumbers(service, 1, 1);
  const epoch = id!.slice(0, 11);
  for (let i = 0; i < 2; i++) {
    const response = await end(service);
    equal(response.status, 202);
    deepEqual(await response.json(), { events: [], end: { pipeline: "p_a", id: `${epoch}-2` } });
  }
  const detail = await assertProblem(
    await service.fetch(jsonPost("/ingest", EVENT)),
    409,
    "run-ended",
  );
  match(detail, /the run of p_a has ended. Publish to another pipeline, or delete/);
});

Deno.test('POST /ingest with "end": true on the last event ends the run', async () => {
  await using service = await startService();
  const response = await service.fetch(jsonPost("/ingest", [EVENT, { ...EVENT, end: true }]));
  equal(response.status, 202);
  const { events, end } = await response.json();
  const epoch = events[0].id.slice(0, 11);
  deepEqual(events.map(({ id }: { id: string }) => id), [`${epoch}-1`, `${epoch}-2`]);
  deepEqual(end, { pipeline: "p_a", id: `${epoch}-3` });
});

Deno.test("GET /pipelines/:pipeline/sse answers 204 to a client that has the end", async () => {
  await using service = await startService();
  await publishNumbers(service, 1, 1);
  const { end: { id } } = await (await end(service)).json();
  const response = await service.fetch(
    request("/pipelines/p_a/sse", {
      headers: { "Last-Event-ID": id, Accept: "text/event-stream" },
    }),
  );
  equal(response.status, 204);
  equal(response.body, null);
  equal(response.headers.get("Access-Control-Allow-Origin"), "*");
  const stream = await service.subscribe("p_a/sse?history=all");
  deepEqual((await stream.until("runnel.end")).map(describeEvent), [
    1,
    liveMarker(1),
    ["runnel.end", { events: 1 }],
  ]);
  equal(await stream.event(), null);
});

Deno.test("GET /pipelines/:pipeline/events tells the end beside the events", async () => {
  await using service = await startService();
  const ids = await publishNumbers(service, 1, 3);
  const { end: { id } } = await (await end(service)).json();
  const response = await service.fetch(request("/pipelines/p_a/events?history=2"));
  const history = await response.json();
  deepEqual(history.events.map((event: { id: string }) => event.id), ids.slice(1));
  deepEqual(history.end, { id, events: 3 });
});

Deno.test("A token for some channels does not end a run", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const limited = await mint({ publish: ["p_a"], channels: ["events"] });
  const headers = bearerHeader(limited);
  await assertProblem(await end(service, headers), 403, "forbidden");
  const published = jsonPost("/ingest", { ...EVENT, channel: "events", end: true }, headers);
  await assertProblem(await service.fetch(published), 403, "forbidden");
  equal((await end(service, bearerHeader(await mint({ publish: ["p_a"] })))).status, 202);
});
