import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { LogFields, ReportOptions } from "../../lib/base/report.ts";
import { EVENT, request } from "../support/clients/http.ts";
import { bearerHeader } from "../support/clients/tokens.ts";
import {
  jsonPost,
  startService,
  type StartServiceOptions,
  type TestService,
} from "../support/service.ts";
import { flush } from "../support/wait.ts";

interface Written extends ReportOptions {
  message: string;
}

/** Starts a service whose messages of a kind are collected. */
async function setUp(
  settings: Record<string, string>,
  kind: string,
  more: StartServiceOptions = {},
) {
  const service = await startService({ settings, ...more });
  const written: Written[] = [];
  const { report } = service.runtime;
  service.runtime.report = (message, cause, options) => {
    if (message === kind) written.push({ message, ...options });
    else report(message, cause, options);
  };
  return { service, written, fields: () => written.map(({ fields }) => withoutId(fields!)) };
}

function withoutId({ request, ...fields }: LogFields): LogFields {
  equal(typeof request, "string");
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const ON = { RUNNEL_ACCESS_LOG: "on" };
const from = (hostname: string) => ({ transport: "tcp" as const, hostname, port: 1 });

async function get(service: TestService, path: string, init: RequestInit = {}) {
  const response = await service.fetch(request(path, init));
  await response.body?.cancel();
}

Deno.test("the access log names the route of a request, and nothing else of its URL", async () => {
  const { service, written, fields } = await setUp(ON, "Request");
  await using _ = service;
  await get(service, "/pipelines/p_a/events?ticket=secret");
  await get(service, "/secret/secret?secret");
  await get(service, "/pipelines/secret/events", { method: "DELETE" });
  await get(service, "/healthz", { method: "SECRET" });
  await (await service.fetch(jsonPost("/ingest", EVENT))).body?.cancel();
  deepEqual(fields(), [
    { method: "GET", route: "/pipelines/{pipeline}/events", pipeline: "p_a", status: 200, ms: 0 },
    { method: "GET", route: "none", status: 404, ms: 0 },
    { method: "DELETE", route: "/pipelines/{pipeline}/events", status: 400, ms: 0 },
    { method: "other", route: "/healthz", status: 405, ms: 0 },
    { method: "POST", route: "/ingest", status: 202, ms: 0 },
  ]);
  deepEqual(
    written.map(({ level, unlimited }) => [level, unlimited]),
    Array(5).fill(["info", true]),
  );
});

Deno.test("the access log has a stream once its connection has closed, with its duration", async () => {
  const { service, fields } = await setUp(ON, "Request");
  await using _ = service;
  const completed = Promise.withResolvers<void>();
  const info = { completed: completed.promise, remoteAddr: from("192.0.2.7") };
  const response = await service.fetch(request("/pipelines/p_a/sse"), info);
  service.clock.advance(61_000);
  await response.body!.cancel();
  await flush();
  equal(fields().length, 0);
  completed.reject(new Error("The connection was reset"));
  await flush();
  deepEqual(fields(), [{
    method: "GET",
    route: "/pipelines/{pipeline}/sse",
    pipeline: "p_a",
    status: 200,
    ms: 61_000,
    address: "192.0.2.7",
    broken: true,
  }]);
});

Deno.test("the access log leaves out the canary, and no other client of its pipeline", async () => {
  const canary = { pipeline: "p_runnel-canary", token: "a-token-of-the-canary" };
  const { service, fields } = await setUp(ON, "Request", { canary });
  await using _ = service;
  const path = `/pipelines/${canary.pipeline}/sse`;
  const publish = { method: "POST", body: "a" };
  for (const token of [canary.token, "another-token"]) {
    await get(service, path, { headers: bearerHeader(token) });
    await get(service, `/ingest/${canary.pipeline}/a`, {
      ...publish,
      headers: bearerHeader(token),
    });
  }
  const { pipeline } = canary;
  deepEqual(fields(), [
    { method: "GET", route: "/pipelines/{pipeline}/sse", pipeline, status: 200, ms: 0 },
    { method: "POST", route: "/ingest/{pipeline}/{channel}", pipeline, status: 403, ms: 0 },
  ]);
});

Deno.test("the access log is off by default", async () => {
  const { service, written } = await setUp({}, "Request");
  await using _ = service;
  await get(service, "/healthz");
  deepEqual(written, []);
});

Deno.test("a refusal is written at debug, by its type alone", async () => {
  const { service, written, fields } = await setUp({ RUNNEL_LOG: "debug" }, "Refused a request");
  await using _ = service;
  await get(service, "/pipelines/p_a/sse?history=secret");
  await get(service, "/secret", { method: "PUT" });
  await get(service, "/healthz", { method: "PUT" });
  deepEqual(fields(), [
    {
      problem: "malformed-request",
      method: "GET",
      route: "/pipelines/{pipeline}/sse",
      pipeline: "p_a",
    },
    { problem: "not-found", method: "PUT", route: "none" },
    { problem: "method-not-allowed", method: "PUT", route: "/healthz" },
  ]);
  equal(written[0]!.level, "debug");
});

Deno.test("a refusal is not written otherwise", async () => {
  const { service, written } = await setUp({}, "Refused a request");
  await using _ = service;
  await get(service, "/pipelines/p_a/sse?history=secret");
  deepEqual(written, []);
});
