import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { redirectToHttps } from "../../lib/service/https_redirects.ts";

const NAMES = ["localhost", "*.example.com", "127.0.0.1", "0:0:0:0:0:0:0:1"];

function redirect(url: string, { method = "GET", port = 8443 } = {}): Response {
  return redirectToHttps(new Request(url, { method }), { port, names: NAMES });
}

const redirected: [url: string, location: string][] = [
  ["http://localhost:80/", "https://localhost:8443/"],
  ["http://127.0.0.1:8080/pipelines/p/sse?a=b&c", "https://127.0.0.1:8443/pipelines/p/sse?a=b&c"],
  ["http://[::1]:8080/a", "https://[::1]:8443/a"],
  ["http://events.EXAMPLE.com/a", "https://events.example.com:8443/a"],
  ["http://user:word@localhost/a", "https://localhost:8443/a"],
  ["http://localhost//evil.org/%0d%0aA:b", "https://localhost:8443//evil.org/%0d%0aA:b"],
];

for (const [url, location] of redirected) {
  Deno.test(`redirectToHttps() redirects ${url}`, () => {
    for (const method of ["GET", "HEAD"]) {
      const { status, headers } = redirect(url, { method });
      deepEqual([status, headers.get("Location")], [308, location]);
      equal(headers.get("Cache-Control"), "no-store");
    }
  });
}

Deno.test("redirectToHttps() leaves out the port of https", () => {
  const { headers } = redirect("http://localhost:80/a", { port: 443 });
  equal(headers.get("Location"), "https://localhost/a");
});

for (
  const host of ["evil.org", "a.b.example.com", "example.com", "localhost.evil.org", "10.0.0.1"]
) {
  Deno.test(`redirectToHttps() does not lead to ${host}, which the certificate does not have`, async () => {
    const response = redirect(`http://${host}/`);
    deepEqual([response.status, response.headers.get("Location")], [421, null]);
    match(await response.text(), /the certificate has no such host name/);
  });
}

for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
  Deno.test(`redirectToHttps() refuses ${method}, whose token was sent in the clear`, async () => {
    const response = redirect("http://localhost/ingest", { method });
    deepEqual([response.status, response.headers.get("Location")], [403, null]);
    match(await response.text(), /Use https:\/\/localhost:8443\/ingest and a new token/);
  });
}
