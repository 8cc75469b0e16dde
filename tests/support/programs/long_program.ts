/**
 * The command lines of the long programs.
 *
 * @module
 */

import { readArguments, UsageError } from "../../../lib/base/mod.ts";

/**
 * Reads the options of a long program. With `--help`, or an option that it does not
 * know, it prints the options and their defaults, and exits.
 *
 * @param task Task of `deno.json` that runs the program.
 * @param defaults Values of the options that are not given.
 */
export function readOptions<Name extends string>(
  task: string,
  defaults: Readonly<Record<Name, string>>,
): Record<Name, string> {
  const names = Object.keys(defaults) as Name[];
  const lines = names.map((name) => `  --${name} VALUE (default: ${defaults[name] || "all"})`);
  const usage = `deno task ${task} [options]\n\n${lines.join("\n")}\n  -h, --help`;
  if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
    console.log(usage);
    Deno.exit(0);
  }
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  try {
    const { values } = readArguments({ usage, options }, Deno.args);
    return { ...defaults, ...values };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    Deno.exit(1);
  }
}
