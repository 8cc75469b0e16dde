import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { BackOff } from "../../lib/client/back_off.ts";

Deno.test("BackOff.next() is the reconnection time first, then doubles up to 30 seconds", () => {
  const backOff = new BackOff(() => 0.5);
  const waits = Array.from({ length: 7 }, () => backOff.next(0));
  deepEqual(waits, [2000, 3000, 6000, 12_000, 22_500, 22_500, 22_500]);
  backOff.reset();
  equal(backOff.next(0), 2000);
});

Deno.test("BackOff.next() spreads clients that fail, also when it does not grow any more", () => {
  for (const [random, waits] of [[0, [2000, 4000, 15_000]], [1, [4000, 8000, 30_000]]] as const) {
    const backOff = new BackOff(() => random);
    const all = Array.from({ length: 9 }, () => backOff.next(0));
    deepEqual([all[1], all[2], all[8]], waits);
  }
});

Deno.test("BackOff.setRetry() takes the time of the service, within limits", () => {
  const backOff = new BackOff(() => 0);
  for (const [asked, ms] of [[3000, 3000], [0, 100], [1e12, 600_000], [undefined, 2000]] as const) {
    backOff.setRetry(asked);
    backOff.reset();
    equal(backOff.next(0), ms);
    // Never sooner than that, and after a failure not at once.
    const next = backOff.next(0);
    equal(next >= Math.max(ms, 250), true, `${next}`);
  }
});

Deno.test("BackOff.next() adds the back-off to the time of Retry-After", () => {
  const backOff = new BackOff(() => 0);
  deepEqual([backOff.next(7000), backOff.next(7000)], [9000, 9000]);
  equal(backOff.next(1e12), 604_000);
  backOff.reset();
  for (const asked of [NaN, -5, 0]) {
    backOff.reset();
    equal(backOff.next(asked), 2000);
  }
});
