/**
 * Requests to the routes, and assertions about their responses.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { FaultyKv } from "../fakes/kv.ts";
import { startService, type TestService } from "../service.ts";

/** An event as a publisher sends it. */
export const EVENT = { pipeline: "p_a", channel: "events", payload: 1 };

/** Headers of an event stream. */
export const STREAM_HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
  "Incremental": "?1",
};

/** Methods that each route allows. */
export const ROUTES = [
  { path: "/ingest", allow: "POST" },
  { path: "/ingest/p_a/events", allow: "POST" },
  { path: "/pipelines/p_a/sse", allow: "GET, HEAD" },
  { path: "/pipelines/p_a/events", allow: "GET, HEAD, DELETE, POST" },
  { path: "/pipelines/p_a/end", allow: "POST" },
  { path: "/", allow: "GET, HEAD" },
  { path: "/diagnose", allow: "GET, HEAD" },
  { path: "/pipelines/diagnose/sse", allow: "GET, HEAD" },
  { path: "/healthz", allow: "GET, HEAD" },
  { path: "/readyz", allow: "GET, HEAD" },
  { path: "/openapi.json", allow: "GET, HEAD" },
];

/** Creates a request to this machine. */
export function request(path: string, init: RequestInit = {}): Request {
  return new Request(`http://localhost${path}`, init);
}

/** Creates a POST request with an unchanged body. */
export function post(path: string, body: BodyInit | null, headers: HeadersInit = {}): Request {
  return request(path, { method: "POST", body, headers });
}

/** Asserts the values of headers; `null` means that a header must be absent. */
export function assertHeaders(
  { headers }: Response,
  expected: Record<string, string | null>,
): void {
  for (const [name, value] of Object.entries(expected)) equal(headers.get(name), value, name);
}

/** Asserts that a response is a problem document, and returns its detail. */
export async function assertProblem(
  response: Response,
  status: number,
  type: string,
): Promise<string> {
  const body = await response.json();
  equal(response.status, status, JSON.stringify(body));
  assertHeaders(response, {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
    "Retry-After": status === 503 || status === 429 ? "1" : null,
  });
  const { part: _, ...rest } = body;
  deepEqual(Object.keys(rest), ["type", "title", "status", "detail", "requestId"]);
  equal(body.requestId, response.headers.get("X-Request-Id"));
  equal(body.type, `urn:runnel:problem:${type}`);
  equal(body.status, status);
  return body.detail;
}

/** Starts a service on a store that can be made to fail, and that counts calls. */
export async function createFaultyService(
  settings: Record<string, string> = {},
): Promise<{ service: TestService; kv: FaultyKv }> {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const service = await startService({ settings, open: () => Promise.resolve(kv) });
  return { service, kv };
}
