import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  strictEqual as equal,
} from "node:assert/strict";
import { createHash } from "node:crypto";
import { hashIdempotency } from "../../lib/log/idempotency.ts";
import { textEvent } from "../support/log.ts";

Deno.test("hashIdempotency() returns the SHA-256 of the key", async () => {
  const { key } = await hashIdempotency("order-4711", [textEvent("1")]);
  equal(key.toHex(), createHash("sha256").update("order-4711").digest("hex"));
});

Deno.test("hashIdempotency() returns another hash for each publisher, and the former one", async () => {
  const own = [undefined, "", "a", "b", "a\0b"].map((publisher) =>
    hashIdempotency("k", [textEvent("1")], { publisher })
  );
  const [plain, ...others] = await Promise.all(own);
  equal(plain!.formerKey, null);
  for (const { formerKey } of others) deepEqual(formerKey, plain!.key);
  equal(new Set([plain!, ...others].map(({ key }) => key.toHex())).size, own.length);
});

Deno.test("hashIdempotency() returns one fingerprint for equal events, with any key", async () => {
  const events = () => [textEvent("1"), textEvent("2", "other")];
  const digests = await Promise.all(["a", "b"].map((key) => hashIdempotency(key, events())));
  equal(digests[0]!.fingerprint, digests[1]!.fingerprint);
  notEqual(digests[0]!.key.toHex(), digests[1]!.key.toHex());
});

Deno.test("hashIdempotency() returns another fingerprint for any other events", async () => {
  const requests = [
    [textEvent("1")],
    [textEvent("2")],
    [textEvent("1", "other")],
    [textEvent("1"), textEvent("1")],
    [textEvent("1"), textEvent("2")],
    [textEvent("2"), textEvent("1")],
    [textEvent("b", "a")],
    [textEvent("", "ab")],
    [textEvent("ab", "")],
    [textEvent("".padEnd(60_000, "."))],
    // More than one segment holds.
    [textEvent("".padEnd(60_000, ".")), textEvent("".padEnd(60_000, "."))],
    [textEvent("".padEnd(60_000, ".")), textEvent("".padEnd(60_001, "."))],
  ];
  const digests = await Promise.all(requests.map((events) => hashIdempotency("k", events)));
  deepEqual(new Set(digests.map(({ fingerprint }) => fingerprint)).size, requests.length);
});
