import { strictEqual as equal } from "node:assert/strict";
import { findNearest } from "../../lib/base/nearest.ts";

const NAMES = ["RUNNEL_HISTORY", "RUNNEL_RETENTION", "PORT", "channel", "history"];

for (
  const [name, nearest] of [
    ["RUNNEL_HISTROY", "RUNNEL_HISTORY"],
    ["runnel_history", "RUNNEL_HISTORY"],
    ["channels", "channel"],
    ["chanel", "channel"],
    ["prot", "PORT"],
    ["pot", null],
    ["cache", null],
    ["_", null],
    ["", null],
  ] as const
) {
  Deno.test(`findNearest() returns ${nearest} for ${JSON.stringify(name)}`, () => {
    equal(findNearest(name, NAMES), nearest);
  });
}

Deno.test("findNearest() returns null if there are no names", () =>
  equal(findNearest("a", []), null));
