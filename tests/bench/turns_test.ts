import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { failuresOfRunnel, measure } from "./turns.ts";
import type { Entry, Work } from "./work.ts";

function work(entries: readonly Partial<Entry>[]): Work {
  const common = { group: "", isRunnel: false, promises: "", missing: null };
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

Deno.test("failuresOfRunnel names the entries of Runnel that failed, and no others", async () => {
  const fail = () => Promise.reject(new Error("lost an event"));
  const results = await measure(
    work([
      { name: "beside", isRunnel: true, run: fail },
      { name: "alone", isRunnel: true },
      { name: "another server", run: fail },
    ]),
    1,
    () => {},
  );
  deepEqual(failuresOfRunnel(results), ["beside: lost an event"]);
});
