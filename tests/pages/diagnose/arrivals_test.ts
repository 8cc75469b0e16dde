import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { classifyArrivals, measureDelays } from "../../../lib/pages/diagnose/arrivals.js";
import {
  AFTER_A_STALL,
  AS_SENT,
  AT_THE_END,
  DELAYED,
  flushedEvery,
  probeResult,
} from "./probe_results.ts";

Deno.test("measureDelays() compares lines with the fastest one, not with a clock", () => {
  deepEqual(measureDelays(AS_SENT.lines), Array(10).fill(0));
  deepEqual(measureDelays(probeResult((sent) => sent + 3_600_000).lines), Array(10).fill(0));
  const delays = [4500, 4000, 3500, 3000, 2500, 2000, 1500, 1000, 500, 0];
  deepEqual(measureDelays(AT_THE_END.lines), delays);
});

for (
  const [what, result, expected, jitterMs] of [
    ["lines as sent", AS_SENT, { kind: "steady", heldMs: 0, usualMs: 0, bursts: 10 }],
    [
      "jitter of the network",
      probeResult((sent, i) => sent + (i * 71) % 200),
      { kind: "steady", heldMs: 168, usualMs: 84, bursts: 10 },
      100,
    ],
    [
      "jitter that the network does not have",
      probeResult((sent, i) => sent + (i * 71) % 200),
      { kind: "delayed", heldMs: 168, usualMs: 84, bursts: 10 },
      20,
    ],
    ["a small delay of most lines", DELAYED, {
      kind: "delayed",
      heldMs: 216,
      usualMs: 206,
      bursts: 10,
    }],
    [
      "a delay of 20 ms",
      probeResult((sent, i) => sent + (i < 9 ? 20 : 0)),
      { kind: "steady", heldMs: 20, usualMs: 20, bursts: 10 },
    ],
    [
      "a delay of 21 ms",
      probeResult((sent, i) => sent + (i < 9 ? 21 : 0)),
      { kind: "delayed", heldMs: 21, usualMs: 21, bursts: 10 },
    ],
    ["all lines at the end", AT_THE_END, {
      kind: "at-end",
      heldMs: 4500,
      usualMs: 2500,
      bursts: 1,
    }],
    ["all lines at the end, in two reads", probeResult((_, i) => 4540 + i), {
      kind: "at-end",
      heldMs: 4491,
      usualMs: 2495,
      bursts: 1,
    }],
    ["a flush every second", flushedEvery(1000), {
      kind: "bursts",
      heldMs: 500,
      usualMs: 500,
      bursts: 5,
    }],
    ["a flush every two seconds", flushedEvery(2000), {
      kind: "bursts",
      heldMs: 1500,
      usualMs: 1000,
      bursts: 3,
    }],
    [
      "each line with the next one",
      probeResult((sent) => Math.min(sent + 500, 4500)),
      { kind: "bursts", heldMs: 500, usualMs: 500, bursts: 9 },
    ],
    ["one stall", AFTER_A_STALL, { kind: "unsteady", heldMs: 1500, usualMs: 0, bursts: 7 }],
  ] as const
) {
  Deno.test(`classifyArrivals() returns ${expected.kind} for ${what}`, () => {
    deepEqual(classifyArrivals(result, jitterMs), expected);
  });
}
