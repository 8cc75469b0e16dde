/**
 * Calculates what a load needs, and what is exhausted first:
 * `deno task capacity --subscribers 10000 --pipelines 500 --rate 50`.
 *
 * @module
 */

import { type Arguments, runCommand, UsageError } from "../base/mod.ts";
import { LOAD, MACHINE } from "./capacity_defaults.ts";
import { findLimits } from "./capacity_limits.ts";
import { type CapacityLoad, type Machine, type Needs, predict } from "./capacity_model.ts";

const USAGE = `Calculates what a load needs, from constants that were measured on a small machine.

  deno task capacity --subscribers 10000 --pipelines 500 --rate 50 --payload 500

The load:
  --subscribers N  open streams (default: ${LOAD.subscribers})
  --pipelines N    pipelines that they are spread over (default: ${LOAD.pipelines})
  --rate N         events a second over all pipelines, one in a request (default: ${LOAD.rate})
  --payload N      bytes of an event (default: ${LOAD.payload})
  --stalled N      percentage of streams whose readers stall (default: 0)
  --keys N         percentage of publishes with an Idempotency-Key (default: 0)
  --retention N    RUNNEL_RETENTION (default: ${LOAD.retention})
The service:
  --processes N    processes; more than one share a KV server (default: 1)
  --sticky         all clients of a pipeline are at one process, by a hash of the path
  --isolates N     RUNNEL_ISOLATES of each (default: 1)
The machine of each process:
  --cores N        (default: ${MACHINE.cores})
  --memory N       GiB (default: ${MACHINE.memory / 2 ** 30})
  --files N        open files, LimitNOFILE (default: ${MACHINE.files})
  --bandwidth N    Mbit/s (default: ${MACHINE.bandwidth / 1e6})
  --disk N         GB for the log (default: ${MACHINE.disk / 1e9})
  -h, --help       print this help`;

const option = { type: "string" } as const;
const OPTIONS = {
  subscribers: option,
  pipelines: option,
  rate: option,
  payload: option,
  stalled: option,
  keys: option,
  retention: option,
  processes: option,
  sticky: { type: "boolean" },
  isolates: option,
  cores: option,
  memory: option,
  files: option,
  bandwidth: option,
  disk: option,
} as const;

/** Options with a number. */
type NumberName = Exclude<keyof typeof OPTIONS, "sticky">;

/** Least values; 0 for the others. */
const LEAST: Partial<Record<NumberName, number>> = {
  pipelines: 1,
  processes: 1,
  isolates: 1,
  cores: 1,
  memory: 0.1,
  files: 100,
  bandwidth: 1,
  disk: 0.1,
};

/** Reads a load and a machine from the options. */
function readLoad({ values }: Arguments<typeof OPTIONS>): { load: CapacityLoad; machine: Machine } {
  const read = (name: NumberName, unit: number, ifMissing: number) => {
    const text = values[name];
    if (text === undefined) return ifMissing;
    const value = Number(text);
    const least = LEAST[name] ?? 0;
    if (/^\d+(\.\d+)?$/.test(text) && value >= least) return value * unit;
    throw new UsageError(`Cannot use --${name} ${text}: expected a number from ${least}`);
  };
  return {
    load: {
      subscribers: read("subscribers", 1, LOAD.subscribers),
      pipelines: read("pipelines", 1, LOAD.pipelines),
      rate: read("rate", 1, LOAD.rate),
      payload: read("payload", 1, LOAD.payload),
      stalled: Math.min(read("stalled", 0.01, LOAD.stalled), 1),
      keys: Math.min(read("keys", 0.01, LOAD.keys), 1),
      retention: read("retention", 1, LOAD.retention),
      isolates: read("isolates", 1, LOAD.isolates),
      processes: read("processes", 1, LOAD.processes),
      sticky: values.sticky ?? LOAD.sticky,
    },
    machine: {
      ...MACHINE,
      cores: read("cores", 1, MACHINE.cores),
      memory: read("memory", 2 ** 30, MACHINE.memory),
      files: read("files", 1, MACHINE.files),
      bandwidth: read("bandwidth", 1e6, MACHINE.bandwidth),
      disk: read("disk", 1e9, MACHINE.disk),
    },
  };
}

/** Formats a number with about three digits. */
function show(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** Formats what a load needs, as lines of name and value. */
function describeNeeds(needs: Needs, { processes }: CapacityLoad): string {
  const each = processes > 1 ? " of each process" : "";
  const rows = [
    [`memory${each}`, `${show(needs.memory / 2 ** 20)} MiB`],
    [`CPU${each}`, `${show(needs.cpu)} cores, ${show(needs.cpuShared)} if events share writes`],
    [`open files${each}`, show(needs.files)],
    [`bandwidth${each}`, `${show(needs.bandwidth / 1e6)} Mbit/s out`],
    ["deliveries", `${show(needs.deliveries)} a second`],
    ["KV commits", `${show(needs.commits)} a second`],
    ["KV reads", `${show(needs.reads)} a second`],
    ["watch streams", `${show(needs.watches)} on ${show(needs.connections)} connections`],
    ["disk", `${show(needs.disk / 1e9)} GB when full, ${show(needs.stored)} bytes an event`],
  ];
  const width = Math.max(...rows.map(([name]) => name!.length));
  return rows.map(([name, value]) => `  ${name!.padEnd(width)}  ${value}`).join("\n");
}

await runCommand({ usage: USAGE, options: OPTIONS, failure: "Cannot calculate" }, (given) => {
  const { load, machine } = readLoad(given);
  const needs = predict(load, machine);
  const limits = findLimits(load, needs, machine);
  console.log(`Needs, within about 30 %:\n${describeNeeds(needs, load)}\n`);
  console.log("Limits, the tightest first:");
  for (const { name, share } of limits) {
    console.log(`  ${`${show(share * 100)} %`.padStart(9)}  ${name}`);
  }
  const [first] = limits;
  console.log(
    `\n${first!.share > 1 ? "Too much" : "First to be exhausted"}: ${first!.name}. ` +
      `Remedy: ${first!.remedy}.`,
  );
});
