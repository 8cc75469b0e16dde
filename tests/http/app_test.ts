import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import {
  assertHeaders,
  assertProblem,
  createFaultyService,
  EVENT,
  post,
  request,
  ROUTES,
} from "../support/clients/http.ts";
import { SECRET, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { drain } from "../support/drain.ts";
import { fail, hang, passThrough, pause } from "../support/fakes/kv.ts";
import { readRaw, sendRaw, serveLocally } from "../support/servers/local_server.ts";
import { assertIdle, jsonPost, startService } from "../support/service.ts";
import { until } from "../support/wait.ts";

Deno.test("GET /healthz and GET /readyz answer", async () => {
  await using service = await startService();
  for (const path of ["/healthz", "/readyz"]) {
    const response = await service.fetch(request(path));
    equal(response.status, 200);
    equal(await response.text(), "ok\n");
  }
});

Deno.test("GET /readyz fails when the log is silent for a second; GET /healthz does not", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  kv.script("commit", hang);
  let answered = false;
  const ready = service.fetch(request("/readyz"));
  ready.then(() => answered = true);
  await until(() => kv.calls.commit === 1);
  service.clock.advance(999);
  equal((await service.fetch(request("/healthz"))).status, 200);
  equal(answered, false);
  service.clock.advance(1);
  await assertProblem(await ready, 503, "log-unavailable");
  equal((await service.fetch(request("/readyz"))).status, 200);
});

const full = [
  ["disk", () => new TypeError("database or disk is full")],
  ["log", () => new TypeError("database disk image is malformed")],
] as const;

for (const [part, error] of full) {
  Deno.test(`GET /readyz names the ${part} when a commit fails for ${error().message}`, async () => {
    const { service, kv } = await createFaultyService();
    await using _ = service;
    kv.script("commit", fail(error));
    const response = await service.fetch(request("/readyz"));
    const { part: named } = await response.clone().json();
    const detail = await assertProblem(response, 503, "log-unavailable");
    equal(named, part);
    ok(!detail.includes("database"));
    equal((await service.fetch(request("/readyz"))).status, 200);
  });
}

Deno.test("GET /readyz names the drain first, at once and without the log", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  kv.fallback = () => hang;
  const draining = service.hub.stopPublishing(0);
  const response = await service.fetch(request("/readyz"), { lacksFiles: true });
  equal((await response.clone().json()).part, "draining");
  await assertProblem(response, 503, "draining");
  equal(kv.commits, 0);
  equal((await service.fetch(request("/healthz"))).status, 200);
  service.clock.advance(0);
  await draining;
});

Deno.test("GET /readyz names the open files when connections could not be accepted", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/readyz"), { lacksFiles: true });
  equal((await response.clone().json()).part, "open-files");
  await assertProblem(response, 503, "overloaded");
  equal((await service.fetch(request("/readyz"), { lacksFiles: false })).status, 200);
});

Deno.test("HEAD answers like GET, without a body and without a subscriber", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  for (const { path, allow } of ROUTES.filter(({ allow }) => allow.includes("GET"))) {
    const get = await service.fetch(request(path));
    await get.body?.cancel();
    const commits = kv.commits;
    const head = await service.fetch(request(path, { method: "HEAD" }));
    equal(head.status, 200, path);
    equal(head.body, null, path);
    ok(allow.includes("HEAD"));
    for (const name of ["Content-Type", "Cache-Control", "X-Accel-Buffering"]) {
      equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`);
    }
    // This route checks the log by a commit.
    equal(kv.commits - commits, path === "/readyz" ? 1 : 0, path);
    await assertIdle(service);
  }
});

Deno.test("HEAD rejects bad input like GET", async () => {
  await using service = await startService();
  for (const path of ["/pipelines/a/sse", "/pipelines/p_a/sse?history=x", "/pipelines/a/events"]) {
    const response = await service.fetch(request(path, { method: "HEAD" }));
    equal(response.status, 400, path);
    equal(response.body, null);
  }
  equal((await service.fetch(request("/nowhere", { method: "HEAD" }))).status, 404);
});

for (const { path, allow } of ROUTES) {
  Deno.test(`${path} answers 405 to methods other than ${allow}`, async () => {
    const { service, kv } = await createFaultyService();
    await using _ = service;
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY"]) {
      if (allow.split(", ").includes(method)) continue;
      const response = await service.fetch(request(path, { method }));
      equal(response.status, 405, method);
      assertHeaders(response, { Allow: allow, "Access-Control-Allow-Origin": "*" });
      if (method !== "HEAD") await assertProblem(response, 405, "method-not-allowed");
    }
    equal(kv.commits, 0);
    await assertIdle(service);
  });
}

/** Headers that browsers have dropped, or that were never standardized. */
const DEPRECATED = [
  "Expect-CT",
  "Feature-Policy",
  "P3P",
  "Pragma",
  "Public-Key-Pins",
  "X-Content-Security-Policy",
  "X-DNS-Prefetch-Control",
  "X-Download-Options",
  "X-Permitted-Cross-Domain-Policies",
  "X-Powered-By",
  "X-WebKit-CSP",
  "X-XSS-Protection",
];

Deno.test("every response has headers that keep browsers from guessing and storing", async () => {
  await using service = await startService({ settings: TOKEN_SETTINGS });
  const paths = [
    ...ROUTES.map(({ path }) => path),
    "/assets/shared/style.css",
    "/assets/shared/none.css",
    "/nowhere",
    "/pipelines/a/sse",
    "/pipelines/p_a/sse?channel=",
  ];
  for (const path of paths) {
    for (const method of ["GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS"]) {
      const { headers, body, status } = await service.fetch(request(path, { method }));
      await body?.cancel();
      const what = `${method} ${path}: ${status}`;
      equal(headers.get("X-Content-Type-Options"), "nosniff", what);
      ok(headers.has("Cross-Origin-Resource-Policy"), what);
      match(headers.get("Cache-Control")!, /^(no-store|no-cache(, no-transform)?)$/, what);
      deepEqual(DEPRECATED.filter((name) => headers.has(name)), [], what);
    }
  }
  await assertIdle(service);
});

Deno.test("GET /healthz and GET /readyz are not stored, whatever they answer", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  kv.script("commit", passThrough, fail());
  for (const [path, status] of [["/healthz", 200], ["/readyz", 200], ["/readyz", 503]] as const) {
    const response = await service.fetch(request(path));
    await response.body?.cancel();
    equal(response.status, status);
    assertHeaders(response, { "Cache-Control": "no-store" });
  }
});

Deno.test("an unknown path is answered with 404, for each method", async () => {
  await using service = await startService();
  for (const path of ["/nowhere", "/ingest/", "/ingest/p_a", "/ingest/p_a/", "/ingest/p_a/b/c"]) {
    for (const method of ["GET", "POST", "DELETE"]) {
      match(
        await assertProblem(await service.fetch(request(path, { method })), 404, "not-found"),
        /GET \/|Near it are POST \/ingest/,
      );
    }
  }
  await assertIdle(service);
});

for (
  const [what, make] of [
    ["a publish", () => jsonPost("/ingest", EVENT)],
    ["a raw publish", () => post("/ingest/p_a/events", "1")],
    ["a history", () => request("/pipelines/p_a/events")],
    ["a clear", () => request("/pipelines/p_a/events", { method: "DELETE" })],
    ["a check", () => request("/readyz")],
  ] as const
) {
  Deno.test(`${what} is answered with 503 and reported when the log fails`, async () => {
    const { service, kv } = await createFaultyService();
    await using _ = service;
    kv.fallback = () => fail(() => new Error("secret disk"));
    const detail = await assertProblem(await service.fetch(make()), 503, "log-unavailable");
    ok(!detail.includes("secret"));
    match(service.reports.join("\n"), /secret disk/);
    await assertIdle(service);
  });
}

Deno.test("an unknown outcome of a publish is reported", async () => {
  const { service, kv } = await createFaultyService();
  await using _ = service;
  const held = pause("call");
  kv.script("commit", held.fault);
  const publishing = service.fetch(jsonPost("/ingest", EVENT));
  await held.reached;
  const draining = drain(service.hub, 1000);
  service.clock.advance(1000);
  await draining;
  await assertProblem(await publishing, 503, "outcome-unknown");
  match(service.reports.join("\n"), /^Cannot POST \/ingest: /m);
  held.release();
  await held.done;
});

Deno.test("an unexpected error is reported, and answered with a 500 without details", async () => {
  await using service = await startService();
  service.hub.clear = () => Promise.reject(new TypeError("secret at line 7"));
  const response = await service.fetch(request("/pipelines/p_a/events", { method: "DELETE" }));
  equal(response.headers.get("Access-Control-Allow-Origin"), "*");
  ok(!(await assertProblem(response, 500, "internal")).includes("secret"));
  deepEqual(service.reports, [
    "Cannot DELETE /pipelines/{pipeline}/events: TypeError: secret at line 7",
  ]);
});

for (const path of ["/?ticket=secret", "/ingest/p_a/events", "/pipelines/p_a/tickets"]) {
  Deno.test(`an invalid Host is rejected and not reported, at ${path}`, async () => {
    const settings = { RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher" };
    await using service = await startService({ settings });
    await using server = serveLocally(service.fetch);
    const method = path.startsWith("/?") ? "GET" : "POST";
    const lines = "Host: a b\r\nAuthorization: Bearer a-token-of-a-publisher\r\nConnection: close";
    const sent = `${method} ${path} HTTP/1.1\r\n${lines}\r\n\r\n`;
    using connection = await sendRaw(server.port, sent);
    const answer = await readRaw(connection);
    match(answer, /^HTTP\/1.1 400 .*urn:runnel:problem:malformed-request.*Cannot read Host/s);
    deepEqual(service.reports, []);
  });
}

Deno.test("a service without secrets answers to local host names only", async () => {
  await using service = await startService();
  const response = await service.fetch(new Request("http://rebound.example/healthz"));
  await assertProblem(response, 403, "forbidden");
});

Deno.test("a service with a secret answers to any host name", async () => {
  await using service = await startService({ settings: { RUNNEL_TOKEN_SECRET: SECRET } });
  const response = await service.fetch(new Request("http://events.example/healthz"));
  equal(await response.text(), "ok\n");
});
