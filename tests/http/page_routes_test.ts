import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { assertHeaders, assertProblem, request, STREAM_HEADERS } from "../support/clients/http.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { assertIdle, startService } from "../support/service.ts";

Deno.test("GET /pipelines/diagnose/sse sends a probe with the headers of a stream", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/pipelines/diagnose/sse?every=50&bytes=1000"));
  equal(response.status, 200);
  assertHeaders(response, STREAM_HEADERS);
  const stream = new StreamReader(response);
  await stream.event();
  service.clock.advance(49);
  equal(service.probes.size, 1);
  service.clock.advance(1);
  const { line, sent, fill } = JSON.parse((await stream.event())!.data);
  deepEqual([line, sent, fill.length], [2, 50, 1000]);
  await stream.cancel();
  await assertIdle(service);
});

Deno.test("GET /pipelines/diagnose/sse?ask=0 omits the headers that ask not to be buffered", async () => {
  await using service = await startService();
  for (const [ask, asks] of [["0", null], ["1", STREAM_HEADERS]] as const) {
    const response = await service.fetch(request(`/pipelines/diagnose/sse?ask=${ask}`));
    assertHeaders(response, {
      ...STREAM_HEADERS,
      "X-Accel-Buffering": asks && asks["X-Accel-Buffering"],
      "Incremental": asks && asks.Incremental,
    });
    await response.body!.cancel();
  }
});

Deno.test("GET /pipelines/diagnose/sse?wait= sends a line after that time, as a long poll", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/pipelines/diagnose/sse?wait=2"));
  assertHeaders(response, STREAM_HEADERS);
  const stream = new StreamReader(response);
  service.clock.advance(2000);
  const { line, of, sent } = JSON.parse((await stream.event())!.data);
  deepEqual([line, of, sent], [1, 1, 2000]);
  equal(await stream.event(), null);
  await assertIdle(service);
});

Deno.test("GET /pipelines/diagnose/sse?quiet= sends few lines, as far apart as keep-alives", async () => {
  await using service = await startService();
  const path = "/pipelines/diagnose/sse?quiet=15000";
  const stream = new StreamReader(await service.fetch(request(path)));
  for (let i = 1; i <= 5; i++) {
    const { line, of, sent } = JSON.parse((await stream.event())!.data);
    deepEqual([line, of, sent], [i, 5, 15_000 * (i - 1)]);
    service.clock.advance(15_000);
  }
  equal(await stream.event(), null);
  await assertIdle(service);
});

for (
  const query of [
    ...["every=19", "every=1001", "every=1e2", "quiet=19", "quiet=15001"],
    ...["bytes=16385", "bytes=-1", "ask=2"],
  ]
) {
  Deno.test(`GET and HEAD /pipelines/diagnose/sse?${query} are rejected`, async () => {
    await using service = await startService();
    const path = `/pipelines/diagnose/sse?${query}`;
    const detail = await assertProblem(
      await service.fetch(request(path)),
      400,
      "malformed-request",
    );
    match(detail, /^Cannot read (every|quiet|bytes|ask): expected (a whole number from|1 to ask)/);
    equal((await service.fetch(request(path, { method: "HEAD" }))).status, 400);
    await assertIdle(service);
  });
}

Deno.test("GET /pipelines/diagnose/sse rejects more than 64 until connections close", async () => {
  await using service = await startService();
  const path = "/pipelines/diagnose/sse";
  const { promise: completed, resolve } = Promise.withResolvers<void>();
  for (let i = 0; i < 64; i++) {
    await (await service.fetch(request(path), { completed })).body!.cancel();
  }
  await assertProblem(await service.fetch(request(path)), 503, "overloaded");
  resolve();
  await assertIdle(service);
  await (await service.fetch(request(path))).body!.cancel();
});

Deno.test("GET / shows commands with the address of the request", async () => {
  const settings = { RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher" };
  await using service = await startService({ settings });
  const response = await service.fetch(new Request("https://runnel.example:8443/?x=1"));
  equal(response.status, 200);
  match(response.headers.get("Content-Type")!, /^text\/plain/);
  match(await response.text(), /curl -N https:\/\/runnel\.example:8443\/pipelines\/p_aBcDeF\/sse/);
});

Deno.test("GET / shows https addresses when a trusted proxy terminates TLS", async () => {
  const headers = { "X-Forwarded-Proto": "https" };
  for (
    const [proxies, origin] of [["0", "http://localhost"], ["1", "https://localhost"]] as const
  ) {
    await using service = await startService({ settings: { RUNNEL_TRUSTED_PROXIES: proxies } });
    const text = await (await service.fetch(request("/", { headers }))).text();
    match(text, new RegExp(`curl -N ${origin}/pipelines/`));
  }
});

for (const path of ["/", "/diagnose", "/pipelines/p_a", "/assets/unknown.css"]) {
  Deno.test(`GET ${path} sends security headers`, async () => {
    await using service = await startService();
    const response = await service.fetch(request(path));
    match(
      response.headers.get("Content-Security-Policy")!,
      /^default-src 'none'; script-src 'self'/,
    );
    // Only the proxy that terminates TLS knows whether all of its domain uses it.
    assertHeaders(response, { "X-Frame-Options": "DENY", "Strict-Transport-Security": null });
    await response.body!.cancel();
  });
}

Deno.test("GET / varies by Accept", async () => {
  await using service = await startService();
  for (
    const [accept, type] of [["text/html,*/*", /^text\/html/], ["*/*", /^text\/plain/]] as const
  ) {
    const response = await service.fetch(request("/", { headers: { Accept: accept } }));
    match(response.headers.get("Content-Type")!, type);
    assertHeaders(response, { Vary: "Accept" });
    await response.body!.cancel();
  }
});
