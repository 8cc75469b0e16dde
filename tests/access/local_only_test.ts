import { throws } from "node:assert/strict";
import { rejectForeignPages } from "../../lib/access/local_only.ts";

function guard(method: string, headers: HeadersInit, allowOrigins: "*" | string[] = "*"): void {
  rejectForeignPages(
    new Request("http://localhost:8000/ingest", { method, headers }),
    allowOrigins,
  );
}

for (const host of ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LocalHost"]) {
  Deno.test(`rejectForeignPages() accepts the host ${host}`, () => guard("POST", { Host: host }));
}

for (
  const host of [
    "rebound.example",
    "rebound.example:8000",
    "localhost.rebound.example",
    "127.0.0.1.rebound.example",
    "localhost@rebound.example",
    "0.0.0.0:8000",
    "192.168.0.7:8000",
    "[::]:8000",
    ":8000",
  ]
) {
  Deno.test(`rejectForeignPages() rejects the host ${host}, even for a read`, () => {
    for (const method of ["GET", "POST", "OPTIONS"]) {
      throws(() => guard(method, { Host: host }), { type: "forbidden" });
    }
  });
}

const ORIGIN = "https://app.example";
const crossSite = { "Sec-Fetch-Site": "cross-site", Origin: ORIGIN };

Deno.test("rejectForeignPages() rejects cross-site writes unless their origin is named", () => {
  for (const method of ["POST", "DELETE"]) {
    throws(() => guard(method, crossSite), { type: "forbidden" });
    throws(() => guard(method, crossSite, ["https://other.example"]), { type: "forbidden" });
    throws(() => guard(method, { ...crossSite, Origin: "null" }, [ORIGIN]), { type: "forbidden" });
    guard(method, crossSite, [ORIGIN]);
  }
  throws(() => guard("POST", { "Sec-Fetch-Site": "cross-site" }), { type: "forbidden" });
});

Deno.test("rejectForeignPages() accepts reads of any site, and same-site writes", () => {
  for (const method of ["GET", "HEAD", "OPTIONS"]) guard(method, crossSite);
  for (const site of ["same-origin", "same-site", "none"]) {
    guard("POST", { "Sec-Fetch-Site": site, Origin: "http://localhost:5173" });
  }
  guard("POST", {});
});

Deno.test("rejectForeignPages() rejects writes of foreign origins without Sec-Fetch-Site", () => {
  for (const origin of ["https://evil.example", "null", "http://localhost.evil.example", "x", ""]) {
    throws(() => guard("POST", { Origin: origin }), { type: "forbidden" });
    throws(() => guard("DELETE", { Origin: origin }, [ORIGIN]), { type: "forbidden" });
    guard("GET", { Origin: origin });
  }
  for (const origin of ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:8000"]) {
    guard("POST", { Origin: origin });
  }
  guard("POST", { Origin: ORIGIN }, [ORIGIN]);
});
