import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { Places } from "../../lib/base/quota.ts";

Deno.test("Places.take() gives a place back once, however often it is left", () => {
  const places = new Places(2);
  const [leave] = [places.take("a"), places.take("a")];
  equal(places.take("a"), null);
  leave!();
  leave!();
  equal(places.taken("a"), 1);
  ok(places.take("a"));
  equal(places.take("a"), null);
});

Deno.test("Places.take() counts each owner by itself", () => {
  const places = new Places(1);
  const leave = places.take("a")!;
  ok(places.take("b"));
  leave();
  deepEqual([places.taken("a"), places.taken("b")], [0, 1]);
});
