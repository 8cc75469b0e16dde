import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import {
  formatGoal,
  formatNoise,
  formatRatio,
  formatTable,
  formatValues,
  formatWork,
} from "./table.ts";
import type { Entry, Result, Work } from "./work.ts";

const COLUMN = { value: "rate", heading: "rate/s" };

function entry(name: string, { group = "", missing = null }: Partial<Entry> = {}): Entry {
  return { group, name, isRunnel: true, promises: "disk", missing, run: () => Promise.resolve({}) };
}

function work(goals: Work["goals"] = []): Work {
  return { letter: "a", title: "Fan-out", columns: [COLUMN], entries: [], goals };
}

function result(name: string, rates: (number | string)[], options?: Partial<Entry>): Result {
  const turns = rates.map((rate) => typeof rate === "string" ? rate : { rate });
  return { entry: entry(name, options), turns };
}

Deno.test("formatValues shows the median and the spread", () => {
  equal(formatValues([1000, 3000, 2000], COLUMN), "2,000 (1,000–3,000)");
  equal(formatValues([1.25, null], { ...COLUMN, digits: 1 }), "1.3");
  equal(formatValues([null], COLUMN), "–");
});

Deno.test("formatRatio has two digits after the point, and fewer if it is large", () => {
  deepEqual([0.5, 12.34, 123.4, NaN].map(formatRatio), ["0.50", "12.3", "123", "–"]);
});

Deno.test("formatTable aligns its columns", () => {
  equal(
    formatTable([["a", "rate"], ["Centrifugo", "1"]]),
    [
      "| a          | rate |",
      "| ---------- | ---- |",
      "| Centrifugo | 1    |",
    ].join("\n"),
  );
});

Deno.test("formatWork compares each entry with the first of its group", () => {
  const results = [
    result("Runnel", [10, 20], { group: "few" }),
    result("nchan", [5, 10], { group: "few" }),
    result("Runnel", [30, 30], { group: "many" }),
    result("nchan", [10, 10], { group: "many" }),
  ];
  const rows = formatWork(work(), results).split("\n").filter((line) => line.startsWith("|"));
  const cells = rows.map((row) => row.split("|").map((cell) => cell.trim()).slice(1, -1));
  deepEqual(cells[0], ["Load", "Server", "Promises", "rate/s", "Runnel ÷ it"]);
  deepEqual(cells.slice(2).map((row) => row.at(-1)), ["1.00", "2.00", "1.00", "3.00"]);
});

Deno.test("formatWork names peers that are missing and turns that failed", () => {
  const results = [
    result("Runnel", [10, 10]),
    result("nchan", [], { missing: "apt-get install nchan" }),
    result("bare", ["lost an event", "lost | another"]),
    result("hono", [5, "lost an event"]),
  ];
  const text = formatWork(work(), results);
  equal(text.includes("| not run here: apt-get install nchan |"), true);
  equal(text.includes("| failed: lost an event "), true);
  equal(text.includes("2.00 (1 turns failed: lost an event) |"), true);
});

Deno.test("formatGoal compares the first entry of a group with the one that a goal names", () => {
  const results = [result("Runnel", [40, 60]), result("Runnel at 123", [10, 20])];
  const goal = { value: "rate", to: "Runnel at", atLeast: 3 };
  deepEqual(formatGoal(work(), results, goal), [
    "- met: rate/s, ≥ 3 × Runnel at 123: 3.50 ×",
  ]);
  deepEqual(formatGoal(work(), results, { value: "rate", to: "Runnel", atMost: 3 }), [
    "- MISSED: rate/s, ≤ 3 × Runnel at 123: 3.50 ×",
  ]);
  deepEqual(formatGoal(work(), results, { ...goal, to: "nchan" }), []);
});

Deno.test("formatGoal bounds the median itself if no entry is named", () => {
  const results = [result("Runnel", [1, 5, 3]), result("Runnel at 123", [9, 9, 9])];
  deepEqual(formatGoal(work(), results, { value: "rate", to: "", atMost: 5 }), [
    "- met: rate/s, ≤ 5: 3.00",
  ]);
});

Deno.test("formatNoise tells how many cores other programs used", () => {
  const quiet = { entry: entry("Runnel"), turns: [{ otherCpu: 0.01 }, { otherCpu: 0.02 }] };
  const noisy = { entry: entry("nchan"), turns: [{ otherCpu: 0.9 }, "lost an event"] };
  equal(formatNoise([quiet, noisy]), "Other programs used 0.02 cores meanwhile, 0.90 at most.");
  equal(formatNoise([result("Runnel", [1])]), null);
});
