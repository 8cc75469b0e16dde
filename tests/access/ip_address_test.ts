import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { parseIpAddress } from "../../lib/access/ip_address.ts";

const addresses: [text: string, client: string, isLoopback?: true][] = [
  ["203.0.113.5", "203.0.113.5"],
  ["203.0.113.5:8080", "203.0.113.5"],
  ['"203.0.113.5:8080"', "203.0.113.5"],
  ["255.255.255.255", "255.255.255.255"],
  ["0.0.0.0", "0.0.0.0"],
  ["127.0.0.1", "127.0.0.1", true],
  ["127.9.9.9:1", "127.9.9.9", true],
  ["::ffff:203.0.113.5", "203.0.113.5"],
  ["::FFFF:cb00:7105", "203.0.113.5"],
  ["[::ffff:203.0.113.5]:80", "203.0.113.5"],
  ["::ffff:127.0.0.1", "127.0.0.1", true],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::", "2001:db8:1:2::/64"],
  ["[2001:db8:1:2::9]", "2001:db8:1:2::/64"],
  ["[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8::1:0:0:1", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["1::", "1:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["::1", "0:0:0:0::/64", true],
  ["[::1]:80", "0:0:0:0::/64", true],
  ["0:0:0:0:0:0:0:1", "0:0:0:0::/64", true],
  ["::2", "0:0:0:0::/64"],
  // Not a mapped address.
  ["::203.0.113.5", "0:0:0:0::/64"],
];

for (const [text, client, isLoopback = false] of addresses) {
  Deno.test(`parseIpAddress() counts ${text} as ${client}`, () => {
    deepEqual(parseIpAddress(text), { client, isLoopback });
  });
}

const others = [
  "",
  "unknown",
  "_hidden",
  "localhost",
  "256.0.0.1",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.4.",
  "01.2.3.4",
  "0x7f.0.0.1",
  "2130706433",
  "1.2.3.4:port",
  ":::",
  "1:2:3",
  "2001:db8::1::2",
  "[2001:db8::1",
  "g::1",
  "[]",
  "::1]/@[::2",
  "x".repeat(100_000),
];

for (const text of others) {
  Deno.test(`parseIpAddress() returns null for "${text.slice(0, 20)}"`, () => {
    equal(parseIpAddress(text), null);
  });
}
