import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { BoundedList } from "../../../lib/pages/viewer/bounded_list.js";

const create = (maxItems: number, maxWeight: number) =>
  new BoundedList<string>(maxItems, maxWeight, (text) => text.length);

Deno.test("BoundedList.push() drops the oldest items when there are too many", () => {
  const list = create(100, Infinity);
  for (let i = 1; i <= 1000; i++) deepEqual(list.push(String(i)), i > 100 ? [String(i - 100)] : []);
  equal(list.size, 100);
  deepEqual(
    [...list.newestFirst()],
    Array.from({ length: 100 }, (_, index) => String(1000 - index)),
  );
});

Deno.test("BoundedList.push() drops items that are too heavy together, except the newest", () => {
  const list = create(100, 5);
  list.push("aa");
  list.push("bb");
  deepEqual(list.push("ccc"), ["aa"]);
  deepEqual(list.push("dddddddd"), ["bb", "ccc"]);
  deepEqual([...list.newestFirst()], ["dddddddd"]);
  deepEqual(list.push("e"), ["dddddddd"]);
});

Deno.test("BoundedList.clear() drops all items", () => {
  const list = create(2, 5);
  list.push("aaaa");
  list.clear();
  equal(list.size, 0);
  deepEqual(list.push("bbbbb"), []);
});
