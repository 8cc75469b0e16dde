import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { Quota } from "../../lib/base/quota.ts";

Deno.test("Quota.acquire() releases once, however often the result is disposed", () => {
  const quota = new Quota(2);
  const [held] = [quota.acquire("a"), quota.acquire("a")];
  equal(quota.acquire("a"), null);
  held![Symbol.dispose]();
  held![Symbol.dispose]();
  equal(quota.inUse("a"), 1);
  ok(quota.acquire("a"));
  equal(quota.acquire("a"), null);
});

Deno.test("Quota.acquire() counts each owner by itself", () => {
  const quota = new Quota(1);
  const held = quota.acquire("a")!;
  ok(quota.acquire("b"));
  held[Symbol.dispose]();
  deepEqual([quota.inUse("a"), quota.inUse("b")], [0, 1]);
});

Deno.test("Quota.acquire() takes an amount up to the maximum, and holds nothing beyond it", () => {
  const quota = new Quota(100);
  {
    using _held = quota.acquire("a", 60);
    equal(quota.acquire("a", 41), null);
    equal(quota.inUse("a"), 60);
    ok(quota.acquire("a", 40));
    equal(quota.inUse("a"), 100);
  }
  equal(quota.inUse("a"), 40);
});

Deno.test("Quota.take() holds an amount until it is released", () => {
  const quota = new Quota(2);
  equal(quota.hasRoom("a", 3), false);
  equal(quota.take("a", 2), true);
  deepEqual([quota.take("a"), quota.hasRoom("a"), quota.hasRoom("b")], [false, false, true]);
  quota.release("a");
  deepEqual([quota.inUse("a"), quota.hasRoom("a")], [1, true]);
  quota.release("a");
  equal(quota.inUse("a"), 0);
});
