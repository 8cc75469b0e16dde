import { match, notStrictEqual as differ, strictEqual as equal } from "node:assert/strict";
import { RequestIds } from "../../lib/http/request_ids.ts";
import { assertProblem, createFaultyService, EVENT, request } from "../support/clients/http.ts";
import { fail } from "../support/fakes/kv.ts";
import { jsonPost, startService } from "../support/service.ts";

const given = (id: string) => new Headers({ "X-Request-Id": id });
const taken = ["0f8fad5b-d9cb-469f-a165-70867728950e", "a.b_c:d-12", "x".repeat(128)];
const malformed = ["", "short", "x".repeat(129), "with space", "a,b,c,d,e", "-leading-dash"];

Deno.test("RequestIds.of() takes a well-formed ID of a trusted proxy, and no other", () => {
  const trusting = new RequestIds({ trustedProxies: 1 }, { random: Math.random });
  const open = new RequestIds({ trustedProxies: 0 }, { random: Math.random });
  for (const id of taken) {
    equal(trusting.of(given(id)), id);
    match(open.of(given(id)), /^[0-9a-z]{16}$/);
  }
  for (const id of malformed) match(trusting.of(given(id)), /^[0-9a-z]{16}$/, id);
});

Deno.test("RequestIds.of() mints another ID for each request", () => {
  const ids = new RequestIds({ trustedProxies: 0 }, { random: Math.random });
  differ(ids.of(new Headers()), ids.of(new Headers()));
  const lowest = new RequestIds({ trustedProxies: 0 }, { random: () => 0 });
  equal(lowest.of(new Headers()), "0".repeat(16));
});

Deno.test("every response has the ID of its request, also for scripts of other origins", async () => {
  await using service = await startService({ settings: { RUNNEL_TRUSTED_PROXIES: "1" } });
  for (
    const make of [
      (init: RequestInit) => request("/healthz", init),
      (init: RequestInit) => request("/nowhere", init),
      (init: RequestInit) => request("/pipelines/p_a/events", init),
      (init: RequestInit) => request("/healthz", { ...init, method: "OPTIONS" }),
      (init: RequestInit) => jsonPost("/ingest", EVENT, init.headers),
    ]
  ) {
    const response = await service.fetch(make({ headers: { "X-Request-Id": "id-of-a-proxy" } }));
    await response.body?.cancel();
    equal(response.headers.get("X-Request-Id"), "id-of-a-proxy");
  }
  const response = await service.fetch(request("/healthz"));
  match(response.headers.get("Access-Control-Expose-Headers")!, /X-Request-Id/);
});

Deno.test("a problem page for people has the ID of its request", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/nowhere", { headers: { Accept: "text/html" } }));
  const id = response.headers.get("X-Request-Id")!;
  match(await response.text(), new RegExp(`<code>${id}</code>`));
});

Deno.test("the report of an outage has the ID that the client was told, and the pipeline", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  kv.fallback = () => fail(() => new Error("closed"));
  const fields: unknown[] = [];
  const { report } = service.runtime;
  service.runtime.report = (message, cause, options) => {
    if (message.startsWith("Cannot")) fields.push([message, options?.fields]);
    report(message, cause, options);
  };
  const response = await service.fetch(request("/pipelines/p_a/events"));
  const id = response.headers.get("X-Request-Id")!;
  await assertProblem(response, 503, "log-unavailable");
  equal(
    JSON.stringify(fields),
    JSON.stringify([["Cannot GET /pipelines/{pipeline}/events", { pipeline: "p_a", request: id }]]),
  );
});
