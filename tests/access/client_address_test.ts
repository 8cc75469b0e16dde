import { strictEqual as equal } from "node:assert/strict";
import { clientAddress } from "../../lib/access/client_address.ts";

const cases: [forwarded: string, remote: string | undefined, proxies: number, is: string | null][] =
  [
    ["", "203.0.113.5", 0, "203.0.113.5"],
    ["198.51.100.7", "203.0.113.5", 0, "203.0.113.5"],
    ["198.51.100.7", "203.0.113.5", 1, "198.51.100.7"],
    // Entries that the client wrote itself precede those of the proxies.
    ["127.0.0.1, 198.51.100.7", "127.0.0.1", 1, "198.51.100.7"],
    ["192.0.2.1, 198.51.100.7, 10.0.0.1", "127.0.0.1", 2, "198.51.100.7"],
    // A request that bypassed the proxies has no entry.
    ["", "203.0.113.5", 1, "203.0.113.5"],
    ["", undefined, 0, null],
    ["", "127.0.0.1", 0, null],
    ["", "::1", 0, null],
    ["", "::ffff:127.0.0.1", 0, null],
  ];

for (const [forwarded, remote, proxies, is] of cases) {
  Deno.test(`clientAddress() of ${remote}, forwarded "${forwarded}" by ${proxies}: ${is}`, () => {
    const headers = { "X-Forwarded-For": forwarded };
    const request = new Request("http://localhost/", { headers });
    equal(clientAddress(request, { remote, trustedProxies: proxies }), is);
  });
}
