import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { ClientAddresses } from "../../lib/access/client_address.ts";

function create(trustedProxies: number) {
  const reports: string[] = [];
  const addresses = new ClientAddresses(trustedProxies, {
    report: (message) => reports.push(message),
  });
  const of = (forwarded: string, remote?: string) =>
    addresses.of(new Headers({ "X-Forwarded-For": forwarded }), remote);
  return { addresses, of, reports };
}

const cases: [forwarded: string, remote: string | undefined, proxies: number, is: string | null][] =
  [
    ["", "203.0.113.5", 0, "203.0.113.5"],
    ["198.51.100.7", "203.0.113.5", 0, "203.0.113.5"],
    ["198.51.100.7", "203.0.113.5", 1, "198.51.100.7"],
    // Entries that the client wrote itself precede those of the proxies.
    ["127.0.0.1, 198.51.100.7", "127.0.0.1", 1, "198.51.100.7"],
    ["192.0.2.1, 198.51.100.7, 10.0.0.1", "127.0.0.1", 2, "198.51.100.7"],
    ["198.51.100.7:4711", "127.0.0.1", 1, "198.51.100.7"],
    ["[2001:db8::1]:443", "127.0.0.1", 1, "2001:db8:0:0::/64"],
    ["", "2001:db8::1", 0, "2001:db8:0:0::/64"],
    ["", "::ffff:203.0.113.5", 0, "203.0.113.5"],
    // A client of the proxy on the same machine.
    ["127.0.0.1", "127.0.0.1", 1, "127.0.0.1"],
    ["::1", "::1", 1, "0:0:0:0::/64"],
    // A request that bypassed the proxies has no entry, or too few.
    ["", "203.0.113.5", 1, "203.0.113.5"],
    ["", "127.0.0.1", 1, "127.0.0.1"],
    ["198.51.100.7", "127.0.0.1", 2, "127.0.0.1"],
    ["unknown", "127.0.0.1", 1, "127.0.0.1"],
    ["198.51.100.7,", "127.0.0.1", 1, "127.0.0.1"],
    // A proxy on this machine that is not in the settings.
    ["198.51.100.7", "127.0.0.1", 0, "127.0.0.1"],
    ["", undefined, 0, null],
    ["", undefined, 1, null],
    ["", "127.0.0.1", 0, null],
    ["", "::1", 0, null],
    ["", "::ffff:127.0.0.1", 0, null],
  ];

for (const [forwarded, remote, proxies, is] of cases) {
  Deno.test(`ClientAddresses.of() of ${remote}, forwarded "${forwarded}" by ${proxies}: ${is}`, () => {
    equal(create(proxies).of(forwarded, remote), is);
  });
}

Deno.test("ClientAddresses.of() counts clients of a proxy that sends Forwarded as one", () => {
  const { addresses, reports } = create(0);
  const headers = new Headers({ Forwarded: "for=198.51.100.7" });
  equal(addresses.of(headers, "::1"), "0:0:0:0::/64");
  equal(reports.length, 1);
});

Deno.test("ClientAddresses reports once that a trusted proxy does not set the header", () => {
  const { of, reports } = create(1);
  of("198.51.100.7", "127.0.0.1");
  deepEqual(reports, []);
  for (let i = 0; i < 3; i++) of("", "127.0.0.1");
  of("unknown", "203.0.113.5");
  equal(reports.length, 1);
  match(reports[0]!, /^A request of 127\.0\.0\.1 has no address in X-Forwarded-For from 1 proxies/);
});

Deno.test("ClientAddresses reports once that a proxy is not in the settings", () => {
  const { of, reports } = create(0);
  of("", "127.0.0.1");
  of("198.51.100.7", "203.0.113.5");
  deepEqual(reports, []);
  for (let i = 0; i < 3; i++) of("198.51.100.7", "127.0.0.1");
  equal(reports.length, 1);
  match(reports[0]!, /Set RUNNEL_TRUSTED_PROXIES to the number of your proxies$/);
});
