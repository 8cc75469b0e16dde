/**
 * Runs component files as the steps of one workflow:
 * `deno task workflow FILE… --pipeline p_aBcDeF`.
 *
 * @module
 */

import { type Arguments, runCommand, UsageError } from "../base/mod.ts";
import {
  defineComponent,
  type DeliveredEvent,
  DeliveryError,
  runWorkflow,
  StepError,
  type WorkflowStep,
} from "../workflow/mod.ts";
import { createRetryReport } from "./retry_report.ts";
import { loadComponent, LoadError, nameOf, readJson, readProps } from "./workflow_files.ts";

const USAGE = `Runs component files, in order, as the steps of one workflow, and delivers the
events that they sent with $.send.sse() when the last one has finished.

  deno task workflow FILE... --pipeline p_aBcDeF [options]

  --pipeline ID      pipeline to send to; the ID starts with p_
  --url URL          URL of the service (default: http://localhost:8000)
  --token TOKEN      token of a publisher (default: RUNNEL_TOKEN)
  --event FILE       JSON file with the event that starts the workflow, which is
                     steps.trigger.event
  --props FILE       JSON file with the props of the component, or for several
                     files with the props of each step by its name
  --live             send each event at once
  --steps            send events about the steps as well, on the channel steps
  --end              end the run of the pipeline after the last event: its streams end
  --timeout SECONDS  time limit of the delivery (default: 60)
  -h, --help         print this help`;

function createOptions() {
  return {
    pipeline: { type: "string" },
    url: { type: "string" },
    token: { type: "string", default: Deno.env.get("RUNNEL_TOKEN") ?? "" },
    event: { type: "string" },
    props: { type: "string" },
    live: { type: "boolean", default: false },
    steps: { type: "boolean", default: false },
    end: { type: "boolean", default: false },
    timeout: { type: "string", default: "60" },
  } as const;
}

function readTimeout(seconds: string): number {
  if (Number(seconds) > 0) return Number(seconds) * 1000;
  throw new UsageError(`Cannot use --timeout ${seconds}: expected a number of seconds above 0`);
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

/** Runs the workflow, and prints its events. */
async function run(
  { values, positionals: files }: Arguments<ReturnType<typeof createOptions>>,
): Promise<void> {
  try {
    if (files.length === 0) {
      throw new UsageError("Cannot run: no file is given. Name a component file");
    }
    const { pipeline, url, token } = values;
    if (!pipeline) {
      throw new UsageError("Cannot send: no pipeline is given. Set it with --pipeline p_…");
    }
    const maxMs = readTimeout(values.timeout);
    const event = await readJson(values.event);
    const names = files.map(nameOf);
    const props = await readProps(values.props, names);
    const steps: WorkflowStep[] = [];
    for (const file of files) {
      const name = nameOf(file);
      steps.push({ name, component: await loadComponent(file), props: props[name] });
    }
    const { delivered, exit } = await runWorkflow({
      pipeline,
      url,
      token,
      steps,
      event,
      live: values.live,
      announceSteps: values.steps,
      end: values.end,
      onStep: printStep,
      delivery: { maxMs, onRetry: createRetryReport(console.error) },
    });
    if (exit) console.log(`ended early${exit.reason === undefined ? "" : `: ${exit.reason}`}`);
    printDelivered(delivered);
    if (values.end) console.log("ended the run");
  } catch (error) {
    if (error instanceof UsageError) throw error;
    printError(error);
    Deno.exitCode = 1;
  }
}

function printError(error: unknown): void {
  if (error instanceof StepError || error instanceof DeliveryError) printDelivered(error.delivered);
  // With its stack, which shows the line in the component file.
  if (error instanceof StepError || error instanceof LoadError) {
    console.error(`${error.message}\n`, error.cause);
  } else if (error instanceof DeliveryError || error instanceof TypeError) {
    console.error(error.message);
  } else console.error(error);
}

/** Reports errors of work that no step awaits. Events that were sent are delivered all the same. */
function reportUnhandledErrors(): void {
  const report = (event: Event, error: unknown) => {
    event.preventDefault();
    console.error(
      "Cannot finish background work: it failed, and no step awaited it. Await it in its step:\n",
      error,
    );
    Deno.exitCode = 1;
  };
  addEventListener("error", (event) => report(event, event.error));
  addEventListener("unhandledrejection", (event) => report(event, event.reason));
}

if (import.meta.main) {
  // Component files use it without an import.
  Object.assign(globalThis, { defineComponent });
  reportUnhandledErrors();
  let hasEnded = false;
  // The program unloads before its end when a step awaits a promise and nothing else is left to do.
  addEventListener("unload", () => {
    if (hasEnded) return;
    console.error(
      "Cannot finish the workflow: a step awaits a promise that never settles. " +
        "Events that wait for the end of the workflow were not sent",
    );
    Deno.exitCode = 1;
  });
  const command = { usage: USAGE, options: createOptions(), allowPositionals: true };
  runCommand(command, run).then(() => hasEnded = true);
}
