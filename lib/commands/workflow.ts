/**
 * Runs component files as the steps of one workflow:
 * `deno task workflow FILE… --pipeline p_aBcDeF`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type Component,
  defineComponent,
  type DeliveredEvent,
  DeliveryError,
  runWorkflow,
  StepError,
  type WorkflowStep,
} from "../workflow.ts";

const USAGE = `Runs component files, in order, as the steps of one workflow, and then delivers
what they sent with $.send.sse().

  deno task workflow FILE... --pipeline p_aBcDeF [options]

  --pipeline ID   the pipeline to send to; p_ is part of it
  --url URL       the service; http://localhost:8000 if not given
  --token TOKEN   a publisher's token; RUNNEL_TOKEN if not given
  --event FILE    a JSON file: what triggered the workflow, steps.trigger.event
  --props FILE    a JSON file: the props of the component, or with several files
                  those of each by its step's name
`;

/** A mistake of whoever called: it needs no stack. */
class UsageError extends Error {}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        pipeline: { type: "string" },
        url: { type: "string" },
        token: { type: "string", default: Deno.env.get("RUNNEL_TOKEN") ?? "" },
        event: { type: "string" },
        props: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** `deno task` runs in the folder of deno.json; files are meant as they were typed. */
function resolvePath(file: string): string {
  return resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), file);
}

async function readJson(file: string | undefined): Promise<unknown> {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await Deno.readTextFile(resolvePath(file)));
  } catch (error) {
    throw new UsageError(`Cannot read ${file}: ${(error as Error).message}`);
  }
}

async function readProps(
  file: string | undefined,
  names: readonly string[],
): Promise<Record<string, Record<string, unknown>>> {
  const props = await readJson(file) ?? {};
  const isObject = (value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(props)) throw new UsageError(`Cannot use ${file}: expected a JSON object`);
  if (names.length === 1) return { [names[0]!]: props as Record<string, unknown> };
  for (const [name, values] of Object.entries(props)) {
    if (names.includes(name) && isObject(values)) continue;
    throw new UsageError(
      `Cannot use ${file}: ${name}: expected the props of a step, by its name: ${names.join(", ")}`,
    );
  }
  return props as Record<string, Record<string, unknown>>;
}

async function load(file: string): Promise<Component> {
  const module = await import(pathToFileURL(resolvePath(file)).href);
  if (typeof module.default?.run === "function") return module.default;
  throw new UsageError(
    `Cannot run ${file}: expected export default defineComponent({ async run({ steps, $ }) { … } })`,
  );
}

function nameOf(file: string): string {
  return basename(file, extname(file));
}

function printStep(name: string, exports: Readonly<Record<string, unknown>>): void {
  console.log(`step ${name}`);
  for (const [key, value] of Object.entries(exports)) {
    console.log(`  ${key}: ${JSON.stringify(value)}`);
  }
}

function printDelivered(events: readonly DeliveredEvent[]): void {
  console.log(`sent ${events.length} ${events.length === 1 ? "event" : "events"}`);
  for (const { channel, id } of events) console.log(`  ${id} ${channel}`);
}

/** Runs it, and returns the exit code. */
async function main(): Promise<number> {
  try {
    const { values, positionals: files } = readArguments();
    if (values.help) {
      console.log(USAGE);
      return 0;
    }
    if (files.length === 0) throw new UsageError("Which file? None was given");
    const { pipeline, url, token } = values;
    if (!pipeline) throw new UsageError("To which pipeline? Give it with --pipeline p_…");
    const event = await readJson(values.event);
    const names = files.map(nameOf);
    const props = await readProps(values.props, names);
    const steps: WorkflowStep[] = [];
    for (const file of files) {
      const name = nameOf(file);
      steps.push({ name, component: await load(file), props: props[name] });
    }
    const { delivered, exit } = await runWorkflow({
      pipeline,
      url,
      token,
      steps,
      event,
      onStep: printStep,
    });
    if (exit) console.log(`ended early${exit.reason === undefined ? "" : `: ${exit.reason}`}`);
    printDelivered(delivered);
    return 0;
  } catch (error) {
    explain(error);
    return 1;
  }
}

function explain(error: unknown): void {
  if (error instanceof StepError || error instanceof DeliveryError) printDelivered(error.delivered);
  // Whoever wrote the step wants to know where in it.
  if (error instanceof StepError) console.error(error.message, "\n", error.cause);
  else if (error instanceof DeliveryError || error instanceof TypeError) {
    console.error(error.message);
  } else if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`);
  else console.error(error);
}

if (import.meta.main) {
  // Component files use it without an import.
  Object.assign(globalThis, { defineComponent });
  Deno.exitCode = await main();
}
