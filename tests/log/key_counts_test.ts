import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { KEY_LIFETIME_MS } from "../../lib/log/idempotency.ts";
import { addKeys, countKeys, type KeyCount } from "../../lib/log/key_counts.ts";

const HOUR_MS = 60 * 60 * 1000;

Deno.test("countKeys() never counts fewer keys than there are records, nor those of 25 hours ago", () => {
  const steps = fc.array(
    fc.record({ wait: fc.integer({ min: 0, max: 3 * HOUR_MS }), added: fc.nat(5) }),
    { maxLength: 200 },
  );
  fc.assert(fc.property(steps, (steps) => {
    let counts: KeyCount[] = [];
    let now = 1_700_000_000_000;
    const used: number[] = [];
    for (const { wait, added } of steps) {
      now += wait;
      counts = addKeys(counts, { added, time: now, now });
      for (let i = 0; i < added; i++) used.push(now);
      const count = countKeys(counts, now);
      ok(count >= used.filter((time) => now < time + KEY_LIFETIME_MS).length);
      ok(count <= used.filter((time) => now < time + KEY_LIFETIME_MS + HOUR_MS).length);
      ok(counts.length <= 26, `${counts.length} hours`);
    }
  }));
});

Deno.test("addKeys() keeps few hours and all counts, however the clock is set", () => {
  const now = 1_700_000_000_000;
  let counts: KeyCount[] = [];
  for (let i = 0; i < 1000; i++) {
    counts = addKeys(counts, { added: 1, time: now + i * HOUR_MS, now });
  }
  equal(counts.length, 30);
  equal(countKeys(counts, now), 1000);
  deepEqual(countKeys(counts, now + 2000 * HOUR_MS), 0);
});
