import { match, ok, strictEqual as equal } from "node:assert/strict";
import { assertHeaders, assertProblem, request } from "../support/clients/http.ts";
import { TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { startService } from "../support/service.ts";

/** As Chromium asks for a page. */
const Accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

const CASES = [
  ["GET", "/nowhere", 404, "not-found"],
  ["GET", "/pipelines/p_a/sse", 401, "unauthorized"],
  ["GET", "/pipelines/p_a/events", 401, "unauthorized"],
  ["GET", "/pipelines/wrong", 400, "malformed-request"],
  ["GET", "/assets/shared/none.css", 404, "not-found"],
  ["PATCH", "/ingest", 405, "method-not-allowed"],
  ["POST", "/ingest", 401, "unauthorized"],
] as const;

for (const [method, path, status, type] of CASES) {
  Deno.test(`${method} ${path} answers ${status} with a page to a browser, else with a problem`, async () => {
    await using service = await startService({ settings: TOKEN_SETTINGS });
    const plain = await service.fetch(request(path, { method }));
    const detail = await assertProblem(plain, status, type);
    const response = await service.fetch(request(path, { method, headers: { Accept } }));
    equal(response.status, status);
    assertHeaders(response, {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Frame-Options": "DENY",
      "WWW-Authenticate": plain.headers.get("WWW-Authenticate"),
      "Allow": plain.headers.get("Allow"),
      "Access-Control-Allow-Origin": "*",
    });
    match(response.headers.get("Content-Security-Policy")!, /^default-src 'none'; script-src/);
    const text = await response.text();
    ok(text.includes(escape(detail)), text);
    equal(text.includes('<a href="/pipelines/p_a">'), status === 401 && method === "GET");
  });
}

Deno.test("A page about a problem contains what it quotes of the request as text", async () => {
  await using service = await startService();
  const misspelt = await service.fetch(
    request("/pipelines/p_a/sse?channe%3Cb%3El=1", { headers: { Accept } }),
  );
  const body = JSON.stringify({ pipeline: "p_a", channel: "a", payload: 1, "<b>": 2 });
  const headers = { Accept, "Content-Type": "application/json" };
  const unknown = await service.fetch(request("/ingest", { method: "POST", headers, body }));
  for (const [response, status] of [[misspelt, 400], [unknown, 422]] as const) {
    equal(response.status, status);
    const text = await response.text();
    ok(text.includes("&lt;b&gt;") && !text.includes("<b>"), text);
  }
});

Deno.test("HEAD of an address without a route has the headers of its page, and no body", async () => {
  await using service = await startService();
  const response = await service.fetch(
    request("/nowhere", { method: "HEAD", headers: { Accept } }),
  );
  equal(response.status, 404);
  equal(response.headers.get("Content-Type"), "text/html; charset=utf-8");
  equal(await response.text(), "");
});

Deno.test("GET /openapi.json answers a page to a browser, which pages elsewhere cannot frame", async () => {
  await using service = await startService();
  const response = await service.fetch(request("/openapi.json", { headers: { Accept } }));
  assertHeaders(response, {
    "Content-Type": "text/html; charset=utf-8",
    "Vary": "Accept",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
  });
  match(await response.text(), /api\/api\.js/);
  const json = await service.fetch(request("/openapi.json"));
  assertHeaders(json, {
    "Content-Type": "application/json",
    "Vary": "Accept",
    "X-Frame-Options": null,
    "Cross-Origin-Resource-Policy": "cross-origin",
  });
  await json.body!.cancel();
});

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")
    .replaceAll(">", "&gt;").replaceAll("'", "&#39;");
}
