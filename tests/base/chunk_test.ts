import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { chunk } from "../../lib/base/chunk.ts";

for (
  const [items, parts] of [
    [[], []],
    [[1], [[1]]],
    [[1, 2], [[1, 2]]],
    [[1, 2, 3, 4, 5], [[1, 2], [3, 4], [5]]],
  ] as const
) {
  Deno.test(`chunk() cuts ${items.length} items into parts of two`, () => {
    deepEqual([...chunk(items, 2)], parts);
  });
}
