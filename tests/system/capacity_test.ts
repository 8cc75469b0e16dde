import { ok } from "node:assert/strict";
import { REFERENCES } from "../../lib/commands/capacity_constants.ts";
import { LOAD, MACHINE } from "../../lib/commands/capacity_defaults.ts";
import { predict } from "../../lib/commands/capacity_model.ts";
import { measureReferences, measureUsage } from "../bench/capacity.ts";
import { cargo, Load } from "../bench/load.ts";
import { median } from "../soak/trend.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";

/** Error of a prediction that is tolerated, as a share of what is measured. */
const TOLERANCE = 0.3;

/** Measured time of a turn, in seconds, and number of turns. */
const SECONDS = 2;
const TURNS = 3;

const load = { subscribers: 400, pipelines: 4, rate: 100, payload: 600 };

testWithRequirements(
  [cargo],
  "deno task capacity predicts what a small run takes, within 30 %",
  async () => {
    const generator = await Load.build();
    const errors: Record<string, number[]> = {};
    const lines: string[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      const references = await measureReferences(generator, SECONDS);
      const usage = await measureUsage(generator, load, SECONDS);
      // This machine, and its other work at this time, is faster or slower than the measured one.
      const slowness = {
        commits: references.bareCommit / REFERENCES.bareCommit,
        deliveries: references.bareDelivery / REFERENCES.bareDelivery,
      };
      const needs = predict({ ...LOAD, ...load, rate: usage.rate }, { ...MACHINE, slowness });
      for (const name of ["memory", "cpu", "files", "sent", "stored"] as const) {
        (errors[name] ??= []).push(needs[name] / usage[name] - 1);
        lines.push(`${name}: ${usage[name]}, predicted ${needs[name]}`);
      }
    }
    for (const [name, values] of Object.entries(errors)) {
      const error = median(values);
      const text = `${name} is off by ${Math.round(error * 100)} %:\n${lines.join("\n")}`;
      ok(Math.abs(error) <= TOLERANCE, text);
    }
  },
);
