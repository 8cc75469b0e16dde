import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { grantedChannels, matchesPipeline, readGrant } from "../../lib/access/grant.ts";

Deno.test("readGrant() grants exactly what a claim names", () => {
  deepEqual(readGrant({}, 5), { publish: [], subscribe: [], channels: null, endsAt: 5 });
  deepEqual(readGrant({ publish: ["p_a"], channels: [] }, Infinity), {
    publish: ["p_a"],
    subscribe: [],
    channels: [],
    endsAt: Infinity,
  });
});

const malformed: unknown[] = [
  undefined,
  null,
  "*",
  ["p_a"],
  { publish: "*" },
  { publish: null },
  { subscribe: { 0: "*" } },
  { subscribe: ["p_a", 1] },
  { channels: "orders" },
  { channels: [null] },
  // An unknown member may be meant to restrict the others.
  { subscribe: ["*"], channel: ["orders"] },
  { subscribe: ["*"], endsAt: 0 },
];

for (const claim of malformed) {
  Deno.test(`readGrant() rejects the claim ${JSON.stringify(claim)}`, () => {
    equal(readGrant(claim, Infinity), null);
  });
}

const coverings: [list: string[], pipeline: string, isCovered: boolean][] = [
  [[], "p_a", false],
  [["p_a"], "p_a", true],
  [["p_a"], "p_ab", false],
  [["p_ab"], "p_a", false],
  [["p_A"], "p_a", false],
  [["p_a*"], "p_a", true],
  [["p_a*"], "p_ab", true],
  [["p_a*"], "p_b", false],
  [["p_b", "p_a_*"], "p_a_1", true],
  [["*"], "p_a", true],
  [[""], "p_a", false],
  [["*a"], "p_a", false],
  [["p_*_a"], "p_x_a", false],
  [["p_."], "p_a", false],
];

for (const [list, pipeline, isCovered] of coverings) {
  Deno.test(`matchesPipeline() of ${JSON.stringify(list)} and ${pipeline} is ${isCovered}`, () => {
    equal(matchesPipeline(list, pipeline), isCovered);
  });
}

const channels: [granted: string[] | null, wanted: string[], got: string[] | null][] = [
  [null, [], []],
  [null, ["a"], ["a"]],
  [["a", "b"], [], ["a", "b"]],
  [["a", "b"], ["b"], ["b"]],
  [["a"], ["a", "b"], null],
  [["a"], ["A"], null],
  // No channel at all is not the same as all channels.
  [[], [], null],
  [[], ["a"], null],
];

for (const [granted, wanted, got] of channels) {
  const names = [granted, wanted, got].map((list) => JSON.stringify(list));
  Deno.test(`grantedChannels() of ${names[0]} and requested ${names[1]} is ${names[2]}`, () => {
    deepEqual(grantedChannels({ channels: granted }, wanted), got);
  });
}
