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
} from "../workflow/mod.ts";

const USAGE = `Runs component files, in order, as the steps of one workflow, and then delivers
what they sent with $.send.sse().

  deno task workflow FILE... --pipeline p_aBcDeF [options]

  --pipeline ID     the pipeline to send to; p_ is part of it
  --url URL         the service; http://localhost:8000 if not given
  --token TOKEN     a publisher's token; RUNNEL_TOKEN if not given
  --event FILE      a JSON file: what triggered the workflow, steps.trigger.event
  --props FILE      a JSON file: the props of the component, or with several files
                    those of each by its step's name
  --timeout SECONDS how long the delivery may take; 60 if not given`;

/** A mistake of whoever called: it needs no stack. */
class UsageError extends Error {}

/** A file that is no module, or that throws before its component is there. */
class LoadError extends Error {}

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
        timeout: { type: "string", default: "60" },
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

function readTimeout(seconds: string): number {
  if (Number(seconds) > 0) return Number(seconds) * 1000;
  throw new UsageError(`Cannot use --timeout ${seconds}: expected seconds, more than 0`);
}

async function load(file: string): Promise<Component> {
  const url = pathToFileURL(resolvePath(file));
  if (!await Deno.stat(url).then(({ isFile }) => isFile, () => false)) {
    throw new UsageError(`Cannot run ${file}: there is no such file`);
  }
  let module;
  try {
    module = await import(url.href);
  } catch (cause) {
    throw new LoadError(`Cannot load ${file}:`, { cause });
  }
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
    console.log(`  ${key}: ${Deno.inspect(value).replaceAll("\n", "\n  ")}`);
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
    const maxMs = readTimeout(values.timeout);
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
      delivery: { maxMs, onRetry: (reason) => console.error(`${reason}. Trying again`) },
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
  if (error instanceof StepError || error instanceof LoadError) {
    console.error(`${error.message}\n`, error.cause);
  } else if (error instanceof DeliveryError || error instanceof TypeError) {
    console.error(error.message);
  } else if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`);
  else console.error(error);
}

/** Tells of what a step began and did not await; what it had sent is delivered all the same. */
function tellOfStrays(): void {
  const tell = (event: Event, error: unknown) => {
    event.preventDefault();
    console.error("A step left something behind that failed:\n", error);
    Deno.exitCode = 1;
  };
  addEventListener("error", (event) => tell(event, event.error));
  addEventListener("unhandledrejection", (event) => tell(event, event.reason));
}

if (import.meta.main) {
  // Component files use it without an import.
  Object.assign(globalThis, { defineComponent });
  tellOfStrays();
  let hasEnded = false;
  addEventListener("unload", () => {
    if (hasEnded) return;
    console.error("The workflow cannot finish: a step awaits what never happens. Nothing was sent");
    Deno.exitCode = 1;
  });
  main().then((code) => {
    hasEnded = true;
    if (code !== 0) Deno.exitCode = code;
  });
}
