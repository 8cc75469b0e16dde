import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { measure } from "./turns.ts";
import type { Entry, Work } from "./work.ts";

function work(entries: readonly Partial<Entry>[]): Work {
  const common = { group: "", promises: "", missing: null };
  return {
    letter: "a",
    title: "",
    columns: [],
    goals: [],
    entries: entries.map((entry) => ({
      ...common,
      name: "",
      run: () => Promise.resolve({}),
      ...entry,
    })),
  };
}

Deno.test("measure runs all entries in each turn, in alternating order", async () => {
  const order: string[] = [];
  const entries = ["a", "b", "c"].map((name) => ({
    name,
    run() {
      order.push(name);
      return Promise.resolve({ value: order.length });
    },
  }));
  const results = await measure(work(entries), 3, () => {});
  deepEqual(order.join(""), "abccbaabc");
  deepEqual(results.map(({ turns }) => turns.map((sample) => Object.values(sample)[0])), [
    [1, 6, 7],
    [2, 5, 8],
    [3, 4, 9],
  ]);
});

Deno.test("measure keeps the message of an error, and leaves out what is missing", async () => {
  const results = await measure(
    work([
      { run: () => Promise.reject(new Error("lost an event")) },
      { missing: "not installed", run: () => Promise.reject(new Error("it was run")) },
    ]),
    2,
    () => {},
  );
  deepEqual(results.map(({ turns }) => turns), [["lost an event", "lost an event"], []]);
});
