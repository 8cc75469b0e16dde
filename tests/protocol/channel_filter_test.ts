import { notStrictEqual, strictEqual as equal } from "node:assert/strict";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";

Deno.test("ChannelFilter.keeps() returns true for every channel if none was requested", () => {
  const filter = new ChannelFilter([]);
  for (const channel of ["orders", "", "runnel.live"]) equal(filter.keeps(channel), true);
});

Deno.test("ChannelFilter.keeps() returns true only for exactly the requested channels", () => {
  const filter = new ChannelFilter(["orders", "é"]);
  equal(filter.keeps("orders"), true);
  equal(filter.keeps("é"), true);
  for (const other of ["Orders", "order", "orders ", "", "e\u0301"]) {
    equal(filter.keeps(other), false);
  }
});

Deno.test("ChannelFilter.of() shares the filter of all channels, and no other", () => {
  equal(ChannelFilter.of([]), ChannelFilter.of([]));
  equal(ChannelFilter.of([]).keepsAll, true);
  equal(ChannelFilter.of(["orders"]).keeps("events"), false);
});

Deno.test("ChannelFilter.key is equal for the same channels in any order, with duplicates", () => {
  const { key } = new ChannelFilter(["a", "b"]);
  equal(new ChannelFilter(["b", "a", "b"]).key, key);
  equal(new ChannelFilter(new Set(["b", "a"])).key, key);
});

const different: [one: string[], other: string[]][] = [
  [[], [""]],
  [["a", "b"], ["a,b"]],
  [["a", "b"], ['a","b']],
  [["a"], ["a", "b"]],
  [["a b"], ["a", "b"]],
];

for (const [one, other] of different) {
  const names = `${JSON.stringify(one)} and ${JSON.stringify(other)}`;
  Deno.test(`ChannelFilter.key differs for ${names}`, () => {
    notStrictEqual(new ChannelFilter(one).key, new ChannelFilter(other).key);
  });
}
