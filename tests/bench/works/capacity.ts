/**
 * The predictions of `deno task capacity` beside what the program takes.
 *
 * @module
 */

import { LOAD, MACHINE } from "../../../lib/commands/capacity_defaults.ts";
import { REFERENCES } from "../../../lib/commands/capacity_constants.ts";
import { predict } from "../../../lib/commands/capacity_model.ts";
import { measureReferences, measureUsage, type SteadyLoad } from "../capacity.ts";
import { runnel } from "../peers/mod.ts";
import type { Work } from "../work.ts";
import { type Bench, entry } from "./bench.ts";

/** Loads: the first ones show one constant each, the last ones all together. */
const LOADS: readonly SteadyLoad[] = [
  { subscribers: 0, pipelines: 1, rate: 0, payload: 200 },
  { subscribers: 2000, pipelines: 1, rate: 0, payload: 200 },
  { subscribers: 2000, pipelines: 2000, rate: 0, payload: 200 },
  { subscribers: 10_000, pipelines: 100, rate: 0, payload: 200 },
  { subscribers: 0, pipelines: 20, rate: 50, payload: 200 },
  { subscribers: 0, pipelines: 20, rate: 500, payload: 2000 },
  { subscribers: 0, pipelines: 20, rate: 4000, payload: 200 },
  { subscribers: 200, pipelines: 1, rate: 100, payload: 200 },
  { subscribers: 1000, pipelines: 20, rate: 200, payload: 1000 },
];

/** Work (m). */
export function capacity(bench: Bench): Work {
  const loads = bench.isTiny ? LOADS.slice(-2) : LOADS;
  const run = async (load: SteadyLoad) => {
    const usage = await measureUsage(bench.load, load, bench.seconds);
    const references = await measureReferences(bench.load, bench.seconds);
    const slowness = {
      commits: references.bareCommit / REFERENCES.bareCommit,
      deliveries: references.bareDelivery / REFERENCES.bareDelivery,
    };
    const needs = predict({ ...LOAD, ...load, rate: usage.rate }, { ...MACHINE, slowness });
    return {
      ...references,
      rate: usage.rate,
      memory: usage.memory / 1e6,
      memoryPredicted: needs.memory / 1e6,
      cpu: usage.cpu,
      cpuPredicted: needs.cpu,
      files: usage.files,
      filesPredicted: needs.files,
      stored: usage.stored,
      storedPredicted: load.rate === 0 ? 0 : needs.stored,
      commitUs: references.bareCommit * 1e6,
      deliveryUs: references.bareDelivery * 1e6,
    };
  };
  return {
    letter: "m",
    title: "Capacity: measured and predicted",
    columns: [
      { value: "rate", heading: "events/s" },
      { value: "memory", heading: "memory, MB" },
      { value: "memoryPredicted", heading: "predicted" },
      { value: "cpu", heading: "CPU, cores", digits: 3 },
      { value: "cpuPredicted", heading: "predicted", digits: 3 },
      { value: "files", heading: "files" },
      { value: "filesPredicted", heading: "predicted" },
      { value: "stored", heading: "bytes/event on disk" },
      { value: "storedPredicted", heading: "predicted" },
      { value: "commitUs", heading: "bare commit, µs" },
      { value: "deliveryUs", heading: "bare delivery, µs", digits: 1 },
    ],
    goals: [],
    entries: loads.map((load) => {
      const { subscribers, pipelines, rate, payload } = load;
      const name = `${subscribers} of ${pipelines}, ${rate}/s of ${payload} bytes`;
      return { ...entry(runnel(), "Runnel", () => run(load)), name: `Runnel: ${name}` };
    }),
    remark: "The last columns are the references, by which predictions are scaled.",
  };
}
