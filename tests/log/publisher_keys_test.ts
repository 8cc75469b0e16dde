import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { hashIdempotency, KEY_LIFETIME_MS } from "../../lib/log/idempotency.ts";
import { idempotencyKey } from "../../lib/log/keys.ts";
import type { Receipt } from "../../lib/log/commit.ts";
import { createTestLog, payloadText, type TestLog, textEvent } from "../support/log.ts";

const EVENTS = [textEvent("1")];

async function readTexts({ log }: TestLog): Promise<string[]> {
  const page = await log.readAfter("p_a", 0, Infinity);
  return page!.events.map(payloadText);
}

/** Stores the record of a key as version 0.1.0 did: under the key alone, without an owner. */
async function storeAsBefore(
  { kv, clock }: TestLog,
  { epoch, first, count }: Receipt,
): Promise<void> {
  const { key, fingerprint } = await hashIdempotency("k", EVENTS);
  const until = clock.now() + KEY_LIFETIME_MS;
  const record = { until, fingerprint, epoch, first, count };
  await kv.atomic().set(idempotencyKey("p_a", key), record).commit();
}

Deno.test("EventLog.append() keeps the keys of publishers apart", async () => {
  await using test = await createTestLog();
  const { log } = test;
  const publishers = [undefined, "a", "b"];
  for (const at of ["once", "twice"]) {
    const receipts = await Promise.all(
      publishers.map((publisher, index) =>
        log.append("p_a", [textEvent(`${index}`)], { key: "k", publisher })
      ),
    );
    for (const { replayed } of receipts) equal(replayed, at === "twice");
  }
  deepEqual((await readTexts(test)).sort(), ["0", "1", "2"]);
  for (const publisher of publishers) {
    await rejects(log.append("p_a", [textEvent("3")], { key: "k", publisher }), {
      type: "key-reused",
    });
  }
});

Deno.test("EventLog.append() stores the same events of two publishers with one key", async () => {
  await using test = await createTestLog();
  for (const publisher of [undefined, "a", "b"]) {
    equal((await test.log.append("p_a", EVENTS, { key: "k", publisher })).replayed, false);
  }
  deepEqual(await readTexts(test), ["1", "1", "1"]);
});

for (const publisher of [undefined, "a"]) {
  Deno.test(`EventLog.append() counts a record of version 0.1.0 for 24 hours, for ${publisher}`, async () => {
    await using test = await createTestLog();
    const { log, clock } = test;
    const receipt = await log.append("p_a", EVENTS);
    await storeAsBefore(test, receipt);
    deepEqual(await log.append("p_a", EVENTS, { key: "k", publisher }), {
      ...receipt,
      replayed: true,
    });
    await rejects(log.append("p_a", [textEvent("2")], { key: "k", publisher }), {
      type: "key-reused",
    });
    clock.advance(KEY_LIFETIME_MS);
    equal((await log.append("p_a", EVENTS, { key: "k", publisher })).replayed, false);
  });
}

Deno.test("EventLog.append() prefers the publisher's own record to one of version 0.1.0", async () => {
  await using test = await createTestLog();
  const { log } = test;
  const own = await log.append("p_a", [textEvent("2")], { key: "k", publisher: "a" });
  await storeAsBefore(test, await log.append("p_a", EVENTS));
  deepEqual(await log.append("p_a", [textEvent("2")], { key: "k", publisher: "a" }), {
    ...own,
    replayed: true,
  });
});

Deno.test("EventLog.append() stores the operator's key as version 0.1.0 did", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", EVENTS, { key: "k" });
  const { key } = await hashIdempotency("k", EVENTS);
  equal(test.kv.written.some(({ key: [, , hash] }) => String(hash) === String(key)), true);
});
