import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { Ring } from "../../../lib/pages/viewer/bounded_list.js";

const create = (maxItems: number, maxWeight: number) =>
  new Ring<string>(maxItems, maxWeight, (text) => text.length);

Deno.test("Ring keeps the newest items", () => {
  const ring = create(100, Infinity);
  for (let i = 1; i <= 1000; i++) deepEqual(ring.push(String(i)), i > 100 ? [String(i - 100)] : []);
  equal(ring.size, 100);
  deepEqual(
    [...ring.newestFirst()],
    Array.from({ length: 100 }, (_, index) => String(1000 - index)),
  );
});

Deno.test("Ring drops as many as weigh too much, and keeps the newest always", () => {
  const ring = create(100, 5);
  ring.push("aa");
  ring.push("bb");
  deepEqual(ring.push("ccc"), ["aa"]);
  deepEqual(ring.push("dddddddd"), ["bb", "ccc"]);
  deepEqual([...ring.newestFirst()], ["dddddddd"]);
  deepEqual(ring.push("e"), ["dddddddd"]);
});

Deno.test("Ring forgets all when it is cleared", () => {
  const ring = create(2, 5);
  ring.push("aaaa");
  ring.clear();
  equal(ring.size, 0);
  deepEqual(ring.push("bbbbb"), []);
});
