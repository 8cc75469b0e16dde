import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { RunnelError, type RunnelErrorType } from "../../lib/base/errors.ts";
import { isTransient, problem } from "../../lib/http/problem.ts";

/** Status of each type; `null` for errors at start, which no client receives. */
const STATUS: Record<RunnelErrorType, number | null> = {
  "malformed-request": 400,
  "unauthorized": 401,
  "forbidden": 403,
  "not-found": 404,
  "request-timeout": 408,
  "too-many-requests": 429,
  "keys-unavailable": 503,
  "method-not-allowed": 405,
  "run-ended": 409,
  "append-superseded": 409,
  "too-large": 413,
  "unsupported-media-type": 415,
  "invalid-event": 422,
  "key-reused": 422,
  "overloaded": 503,
  "draining": 503,
  "log-unavailable": 503,
  "outcome-unknown": 503,
  "invalid-setting": null,
  "storage-unusable": null,
};

const FACTS = { requestId: "r-1" };

function isTransientStatus(status: number): boolean {
  return status === 429 || status === 503;
}

for (const [name, status] of Object.entries(STATUS)) {
  const type = name as RunnelErrorType;
  const error = new RunnelError(type, "Cannot do it: it is so", { cause: new Error("secret") });

  if (status === null) {
    Deno.test(`problem() hides the details of ${type}`, async () => {
      const response = problem(error, FACTS);
      equal(response.status, 500);
      ok(!(await response.text()).includes("Cannot do it"));
    });
    continue;
  }

  Deno.test(`problem() answers ${type} with ${status} and its headers`, async () => {
    const response = problem(error, FACTS);
    equal(response.status, status);
    equal(response.headers.get("Content-Type"), "application/problem+json");
    equal(response.headers.get("Cache-Control"), "no-store");
    equal(response.headers.get("Retry-After"), isTransientStatus(status) ? "1" : null);
    equal(response.headers.get("WWW-Authenticate"), status === 401 ? "Bearer" : null);
    const { title, ...rest } = await response.json();
    ok(title.length > 0);
    deepEqual(rest, {
      type: `urn:runnel:problem:${type}`,
      status,
      detail: "Cannot do it: it is so",
      requestId: "r-1",
    });
  });

  Deno.test(`isTransient() is ${isTransientStatus(status)} for ${type}`, () => {
    equal(isTransient(error), isTransientStatus(status));
  });
}

Deno.test("problem() has a distinct title for each type", async () => {
  const types = Object.keys(STATUS).filter((type) => STATUS[type as RunnelErrorType] !== null);
  const bodies = types.map((type) =>
    problem(new RunnelError(type as RunnelErrorType, ""), FACTS).json()
  );
  const titles = (await Promise.all(bodies)).map(({ title }) => title);
  equal(new Set(titles).size, types.length);
});

Deno.test("problem() hides the details of an unexpected error", async () => {
  const response = problem(null, FACTS);
  equal(response.headers.get("Content-Type"), "application/problem+json");
  deepEqual(await response.json(), {
    type: "urn:runnel:problem:internal",
    title: "Internal error",
    status: 500,
    detail: "The request failed for a reason that the operator can find in the log",
    ...FACTS,
  });
});

Deno.test("problem() adds the given headers", () => {
  const error = new RunnelError("method-not-allowed", "Cannot PUT here");
  const { headers } = problem(error, FACTS, { Allow: "GET, HEAD" });
  equal(headers.get("Allow"), "GET, HEAD");
  equal(headers.get("Content-Type"), "application/problem+json");
});

Deno.test("problem() shortens a detail that quotes kilobytes of the request", async () => {
  const error = new RunnelError("method-not-allowed", `Cannot ${"X".repeat(5000)} here`);
  const { detail } = await problem(error, FACTS).json();
  equal(detail, `Cannot ${"X".repeat(493)} …`);
});
