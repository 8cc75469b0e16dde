import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { CommonHeaders } from "../../lib/http/common_headers.ts";

/** Headers that {@linkcode CommonHeaders.create} leaves out if a request has no origin. */
const CORS = [
  "Access-Control-Allow-Origin",
  "Access-Control-Expose-Headers",
  "Access-Control-Allow-Credentials",
];
const ORIGINS = ["https://app.example", "https://evil.example", "null", null];

for (const allowOrigins of ["*", ["https://app.example", "null"]] as const) {
  for (const isDraining of [false, true]) {
    const state = `${allowOrigins}, ${isDraining ? "while the instance drains" : "otherwise"}`;
    Deno.test(`CommonHeaders.create() and addTo() give the same headers to ${state}`, async () => {
      const draining = isDraining ? AbortSignal.abort() : new AbortController().signal;
      const common = new CommonHeaders({ allowOrigins }, draining);
      for (const origin of ORIGINS) {
        const headers = { "Content-Type": "application/json", "Idempotency-Replayed": "true" };
        const request = new Request("http://localhost/", {
          headers: origin === null ? {} : { Origin: origin },
        });
        const created = common.create(request, "r-1", "{}", { status: 202, headers });
        const added = new Response("{}", { status: 202, headers });
        common.addTo(added, request, "r-1");
        if (origin === null) {
          for (const name of CORS) added.headers.delete(name);
        }
        deepEqual([...created.headers], [...added.headers], String(origin));
        deepEqual([created.status, await created.text()], [202, "{}"]);
        equal(created.headers.get("X-Request-Id"), "r-1");
        equal(created.headers.get("Connection"), isDraining ? "close" : null);
        equal(created.headers.get("Vary"), allowOrigins === "*" ? null : "Origin");
      }
    });
  }
}

Deno.test("CommonHeaders.addTo() leaves a response alone that was created with them", () => {
  const common = new CommonHeaders({ allowOrigins: ["https://app.example"] }, AbortSignal.abort());
  const request = new Request("http://localhost/");
  const response = common.create(request, "r-1", "{}", { status: 202, headers: {} });
  const before = [...response.headers];
  common.addTo(response, request, "r-2");
  deepEqual([...response.headers], before);
});

Deno.test("CommonHeaders.addTo() keeps what a response sets itself, and what it varies by", () => {
  const common = new CommonHeaders({ allowOrigins: ["https://app.example"] }, AbortSignal.abort());
  const response = new Response(null, {
    headers: { "Cache-Control": "no-cache", Connection: "keep-alive", Vary: "Accept" },
  });
  common.addTo(response, new Request("http://localhost/"), "r-1");
  const names = ["Cache-Control", "Connection", "Vary"];
  deepEqual(names.map((name) => response.headers.get(name)), [
    "no-cache",
    "keep-alive",
    "Accept, Origin",
  ]);
});
