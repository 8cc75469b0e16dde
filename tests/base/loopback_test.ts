import { strictEqual as equal } from "node:assert/strict";
import { isLoopback } from "../../lib/base/loopback.ts";

for (const host of ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1", "[::1]"]) {
  Deno.test(`isLoopback() accepts ${host}`, () => equal(isLoopback(host), true));
}

for (
  const host of [
    "0.0.0.0",
    "::",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "evil-localhost",
    "128.0.0.1",
    "127.0.0",
    "localhost\n",
  ]
) {
  Deno.test(`isLoopback() rejects ${JSON.stringify(host)}`, () => {
    equal(isLoopback(host), false);
  });
}
