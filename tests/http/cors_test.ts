import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { Settings } from "../../lib/config/config.ts";
import {
  assertHeaders,
  createFaultyService,
  EVENT,
  request,
  ROUTES,
} from "../support/clients/http.ts";
import { bearerHeader, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { assertIdle, jsonPost, startService } from "../support/service.ts";

const CORS_REQUESTS: [string, Request, number][] = [
  ["a publish", jsonPost("/ingest", EVENT), 202],
  ["an event stream", request("/pipelines/p_a/sse"), 200],
  ["the history", request("/pipelines/p_a/events"), 200],
  ["a clear", request("/pipelines/p_a/events", { method: "DELETE" }), 204],
  ["a bad request", request("/pipelines/a/sse"), 400],
  ["an unknown address", request("/nowhere"), 404],
  ["a wrong method", request("/ingest"), 405],
  ["an invalid event", jsonPost("/ingest", {}), 422],
  ["a check", request("/readyz"), 200],
];

const EXPOSED = "Retry-After,Idempotency-Replayed,Last-Event-ID,Link,X-Request-Id";

/** Without a secret, the service accepts no writes from pages of other sites. */
const WITH_SECRET = { RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN };

function authorized({ headers }: Request): HeadersInit {
  return { ...Object.fromEntries(headers), ...bearerHeader(PUBLISH_TOKEN) };
}

for (const [what, original, status] of CORS_REQUESTS) {
  Deno.test(`pages of any origin can read the response to ${what}`, async () => {
    await using service = await startService({ settings: WITH_SECRET });
    for (const origin of ["null", "https://example.com"]) {
      const asked = new Request(original.clone(), { headers: authorized(original) });
      asked.headers.set("Origin", origin);
      const response = await service.fetch(asked);
      equal(response.status, status);
      assertHeaders(response, {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": EXPOSED,
        "Vary": what === "the history" ? "Accept" : null,
      });
      await response.body?.cancel();
    }
    await assertIdle(service);
  });

  Deno.test(`only pages of named origins can read the response to ${what}`, async () => {
    await using service = await startService({
      settings: { ...WITH_SECRET, RUNNEL_ALLOW_ORIGINS: "https://example.com,null" },
    });
    for (
      const [origin, allowed] of [
        ["https://example.com", "https://example.com"],
        ["null", "null"],
        ["https://evil.example", null],
        [null, null],
      ] as const
    ) {
      const asked = new Request(original.clone(), { headers: authorized(original) });
      if (origin) asked.headers.set("Origin", origin);
      const response = await service.fetch(asked);
      equal(response.status, status);
      assertHeaders(response, {
        "Access-Control-Allow-Origin": allowed,
        "Vary": what === "the history" ? "Accept, Origin" : "Origin",
      });
      await response.body?.cancel();
    }
  });
}

Deno.test("a preflight allows the methods and headers of the routes, and no others", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  for (const { path } of ROUTES) {
    const response = await service.fetch(request(path, {
      method: "OPTIONS",
      headers: {
        "Origin": "null",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-other",
      },
    }));
    equal(response.status, 204);
    equal(response.body, null);
    assertHeaders(response, {
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Methods": "GET,HEAD,POST,DELETE",
      "Access-Control-Allow-Headers":
        "Authorization,Content-Type,Idempotency-Key,Last-Event-ID,Cache-Control," +
        "X-Requested-With,traceparent,tracestate,baggage,sentry-trace",
      "Access-Control-Expose-Headers": EXPOSED,
      "Access-Control-Max-Age": "86400",
    });
  }
  equal(kv.commits, 0);
  await assertIdle(service);
});

const SSE = "http://localhost/pipelines/p_a/sse";

const ORIGIN = "https://app.example";

async function corsOf(settings: Settings, request: Request): Promise<(string | null)[]> {
  await using service = await startService({ settings });
  const response = await service.fetch(request);
  await response.body?.cancel();
  return ["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"]
    .map((name) => response.headers.get(name));
}

for (const method of ["GET", "OPTIONS"]) {
  Deno.test(`the response to ${method} allows credentials only for named origins`, async () => {
    const request = (origin: string) => {
      const headers = { Origin: origin, "Access-Control-Request-Method": "GET" };
      return new Request(SSE, { method, headers });
    };
    const named = { RUNNEL_ALLOW_ORIGINS: `http://localhost:5173,${ORIGIN}` };
    deepEqual(await corsOf({}, request(ORIGIN)), ["*", null]);
    deepEqual(await corsOf(named, request(ORIGIN)), [ORIGIN, "true"]);
    const withNull = { RUNNEL_ALLOW_ORIGINS: `null,${ORIGIN}` };
    deepEqual(await corsOf(withNull, request("null")), ["null", null]);
    deepEqual(await corsOf(withNull, request(ORIGIN)), [ORIGIN, "true"]);
    const [origin] = await corsOf(named, request("https://evil.example"));
    equal(origin, null);
  });
}

Deno.test("a page of a named origin can read the response to a missing token", async () => {
  const settings = { ...TOKEN_SETTINGS, RUNNEL_ALLOW_ORIGINS: ORIGIN };
  const request = new Request(SSE, { headers: { Origin: ORIGIN } });
  deepEqual(await corsOf(settings, request), [ORIGIN, "true"]);
});
