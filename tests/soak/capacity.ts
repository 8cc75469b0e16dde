/**
 * The predictions of `deno task capacity`: compares them with what a small run takes, on the
 * machine that it runs on. The program fails if the median of one is off by more than 30 %.
 *
 * Run it with `deno task test:capacity --turns 3 --seconds 2`.
 *
 * @module
 */

import { REFERENCES } from "../../lib/commands/capacity_constants.ts";
import { LOAD, MACHINE } from "../../lib/commands/capacity_defaults.ts";
import { predict } from "../../lib/commands/capacity_model.ts";
import { measureReferences, measureUsage } from "../bench/capacity.ts";
import { Load } from "../bench/load.ts";
import { readOptions } from "../support/programs/long_program.ts";
import { median } from "./trend.ts";

/** Error of a prediction that is tolerated, as a share of what is measured. */
const TOLERANCE = 0.3;

/** Amounts that are compared. */
const AMOUNTS = ["memory", "cpu", "files", "sent", "stored"] as const;

const load = { subscribers: 400, pipelines: 4, rate: 100, payload: 600 };

/** Measures the load in some turns, and returns whether each prediction was near. */
async function run(turns: number, seconds: number): Promise<boolean> {
  const generator = await Load.build();
  const errors = new Map(AMOUNTS.map((name) => [name, [] as number[]]));
  for (let turn = 1; turn <= turns; turn++) {
    const references = await measureReferences(generator, seconds);
    const usage = await measureUsage(generator, load, seconds);
    // This machine, and its other work at this time, is faster or slower than the measured one.
    const slowness = {
      commits: references.bareCommit / REFERENCES.bareCommit,
      deliveries: references.bareDelivery / REFERENCES.bareDelivery,
    };
    const needs = predict({ ...LOAD, ...load, rate: usage.rate }, { ...MACHINE, slowness });
    for (const [name, found] of errors) {
      found.push(needs[name] / usage[name] - 1);
      console.log(`turn ${turn}, ${name}: ${usage[name]}, predicted ${needs[name]}`);
    }
  }
  let isNear = true;
  for (const [name, found] of errors) {
    const error = median(found);
    console.log(`${name} is off by ${Math.round(error * 100)} %`);
    isNear &&= Math.abs(error) <= TOLERANCE;
  }
  return isNear;
}

if (import.meta.main) {
  const { turns, seconds } = readOptions("test:capacity", { turns: "3", seconds: "2" });
  if (!await run(Number(turns), Number(seconds))) {
    console.error(`Expected no prediction to be off by more than ${TOLERANCE * 100} %`);
    Deno.exit(1);
  }
}
