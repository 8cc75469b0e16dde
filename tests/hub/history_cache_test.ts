import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { HistoryCache } from "../../lib/hub/history_cache.ts";
import { numbers } from "../support/events.ts";

const MiB = 1024 * 1024;

/** A scan that takes a bit more than a number of bytes. */
function scanOf(bytes: number) {
  const indexes = new Map([["x", 0]]);
  return { epoch: "AAAAAAAAAAA", last: 1, indexes, channels: new Uint32Array(bytes / 4) };
}

Deno.test("HistoryCache.keepScan() drops the scans that were made first", () => {
  const cache = new HistoryCache();
  for (const id of ["p_a", "p_b", "p_c"]) cache.keepScan(id, scanOf(2 * MiB));
  // Made again, it is no longer the first.
  cache.keepScan("p_a", scanOf(2 * MiB));
  cache.keepScan("p_d", scanOf(2 * MiB));
  const kept = ["p_a", "p_b", "p_c", "p_d"].filter((id) => cache.scan(id));
  deepEqual(kept, ["p_a", "p_c", "p_d"]);
  ok(cache.bytes > 6 * MiB && cache.bytes < 8 * MiB, `${cache.bytes}`);
});

Deno.test("HistoryCache.keepScan() keeps one that is larger than the limit until the next one", () => {
  const cache = new HistoryCache();
  cache.keepScan("p_a", scanOf(9 * MiB));
  ok(cache.scan("p_a"));
  cache.keepScan("p_b", scanOf(MiB));
  deepEqual([cache.scan("p_a"), cache.scan("p_b")?.last], [undefined, 1]);
});

Deno.test("HistoryCache.keepStart() drops all other starts when they are too many", () => {
  const cache = new HistoryCache();
  const keys = numbers(1, 1000).map((i) => String(i).padStart(1000, "x"));
  keys.forEach((key, index) => cache.keepStart(key, index));
  const kept = keys.filter((key) => cache.start(key) !== undefined);
  // A key takes 2128 bytes, so 492 of them are below the limit.
  deepEqual(kept, keys.slice(984));
  equal(cache.start(keys[999]!), 999);
  equal(cache.bytes, kept.length * 2128);
});
