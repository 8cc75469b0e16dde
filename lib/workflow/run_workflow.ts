/**
 * Running a workflow: its steps one after the other, then the delivery of their
 * events.
 *
 * @module
 */

import { type Actions, bindComponent, type Component, type Steps } from "./component.ts";
import { type DeliveredEvent, DeliveryError } from "./delivery_error.ts";
import { type Destination, ingestUrl } from "./destination.ts";
import { type DeliveryOptions, publish } from "./publisher.ts";
import { type SerializedEvent, serializeEvent } from "./serialized_event.ts";

/**
 * Step of a workflow.
 *
 * @example A component with the value of its property
 * ```ts
 * import { defineComponent, type WorkflowStep } from "@runnel/workflow";
 *
 * const greet = defineComponent({
 *   props: { name: { type: "string" } },
 *   run({ $ }) {
 *     $.send.sse({ channel: "greetings", payload: `Hello, ${this.name}` });
 *   },
 * });
 * const step: WorkflowStep = { name: "greet", component: greet, props: { name: "Luke" } };
 * ```
 */
export interface WorkflowStep {
  /** Name of the step: later steps get its exports as `steps.<name>`. Not `trigger`. */
  name: string;
  /** Code of the step. */
  component: Component;
  /** Values of the component's properties, by name. */
  props?: Record<string, unknown> | undefined;
}

/**
 * Workflow to run, with the destination of its events.
 *
 * @example Two steps, the first of which exports a value to the second
 * ```ts
 * import { defineComponent, type Workflow } from "@runnel/workflow";
 *
 * const count = defineComponent({ run: () => 7 });
 * const send = defineComponent({
 *   run({ steps, $ }) {
 *     $.send.sse({ channel: "counts", payload: steps["count"] });
 *   },
 * });
 * const workflow: Workflow = {
 *   pipeline: "p_aBcDeF",
 *   steps: [{ name: "count", component: count }, { name: "send", component: send }],
 * };
 * ```
 */
export interface Workflow extends Destination {
  /** Steps, in order. */
  steps: readonly WorkflowStep[];
  /** Event that starts the workflow: `steps.trigger.event`. */
  event?: unknown;
  /** Called when a step has finished, with its exports. If it throws, the step fails. */
  onStep?: (name: string, exports: Readonly<Record<string, unknown>>) => void;
  /** Options for the delivery of the events. */
  delivery?: DeliveryOptions;
}

/**
 * Result of a workflow.
 *
 * @example The return value of a step
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { runWorkflow, type WorkflowResult } from "@runnel/workflow";
 *
 * const result: WorkflowResult = await runWorkflow({
 *   pipeline: "p_aBcDeF",
 *   steps: [{ name: "count", component: { run: () => 7 } }],
 * });
 * deepEqual(result.steps["count"], { $return_value: 7 });
 * ```
 */
export interface WorkflowResult {
  /** Exports of the trigger and of the steps that ran. */
  steps: Steps;
  /** The events that were sent, with their IDs, in order. */
  delivered: DeliveredEvent[];
  /** The call of `$.flow.exit()` that ended the workflow early, or `null`. */
  exit: { reason: string | undefined } | null;
}

/**
 * Error of a step: its `run` threw, or its promise was rejected. The events that
 * were sent before have been delivered, unless `delivery` is set.
 *
 * @example Find out which step failed, and why
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { runWorkflow, StepError } from "@runnel/workflow";
 *
 * const fail = () => {
 *   throw new Error("no more droids");
 * };
 * try {
 *   await runWorkflow({
 *     pipeline: "p_aBcDeF",
 *     steps: [{ name: "order", component: { run: fail } }],
 *   });
 * } catch (error) {
 *   if (!(error instanceof StepError)) throw error;
 *   equal(error.step, "order");
 *   equal(error.message, "The step order failed: no more droids");
 *   equal(error.delivery, null);
 * }
 * ```
 */
export class StepError extends Error {
  /** Name of the step. */
  readonly step: string;
  /** Events that were sent before the error and delivered, with their IDs. */
  readonly delivered: readonly DeliveredEvent[];
  /** Error of the delivery, if the delivery failed as well, or `null`. */
  readonly delivery: DeliveryError | null;

  /**
   * Creates an error.
   *
   * @param step The name of the step.
   * @param cause The value that the step threw.
   * @param delivery The delivered events, or the error of their delivery.
   */
  constructor(step: string, cause: unknown, delivery: DeliveredEvent[] | DeliveryError) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const isError = delivery instanceof DeliveryError;
    super(`The step ${step} failed: ${reason}${isError ? `. ${delivery.message}` : ""}`, { cause });
    this.name = "StepError";
    this.step = step;
    this.delivered = isError ? delivery.delivered : delivery;
    this.delivery = isError ? delivery : null;
  }
}

/**
 * Runs a workflow: the steps one after the other, then the delivery of all
 * events that they sent.
 *
 * If a step fails, the later steps do not run, and the events that were sent
 * before are delivered. A step whose promise never settles keeps the workflow
 * waiting: set a time limit for everything that a step awaits.
 *
 * @param workflow The workflow.
 * @returns The exports of the steps and the delivered events, once they are durable.
 * @throws {TypeError} If the destination, the name of a step, its component or
 *   its properties are invalid. Then nothing has run.
 * @throws {StepError} If a step fails.
 * @throws {DeliveryError} If the events are not delivered.
 *
 * @example Send an event to a service, which is played by a function here
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { defineComponent, runWorkflow } from "@runnel/workflow";
 *
 * const greet = defineComponent({
 *   async run({ steps, $ }) {
 *     $.send.sse({ channel: "greetings", payload: steps.trigger.event });
 *   },
 * });
 * const { delivered } = await runWorkflow({
 *   pipeline: "p_aBcDeF",
 *   steps: [{ name: "greet", component: greet }],
 *   event: "Hello there",
 *   delivery: {
 *     fetch: async () => Response.json({ events: [{ id: "AAECAwQFBgc-1" }] }, { status: 202 }),
 *   },
 * });
 * deepEqual(delivered, [{ channel: "greetings", id: "AAECAwQFBgc-1" }]);
 * ```
 */
export async function runWorkflow(workflow: Workflow): Promise<WorkflowResult> {
  ingestUrl(workflow);
  const bound = bindSteps(workflow.steps);
  const steps: Steps = { trigger: { event: workflow.event } };
  const outbox: SerializedEvent[] = [];
  let exit: WorkflowResult["exit"] = null;
  let failure: { step: string; cause: unknown } | null = null;
  let isOver = false;

  for (const { name, component, self } of bound) {
    const exports: Record<string, unknown> = {};
    const $: Actions = {
      send: {
        sse(event) {
          if (isOver) {
            throw new Error(
              "Cannot send: the workflow has finished. " +
                `Await everything in the step ${name} that calls $.send.sse()`,
            );
          }
          outbox.push(serializeEvent(event));
        },
      },
      export: (key, value) => {
        exports[key] = value;
      },
      flow: {
        exit: (reason) => {
          exit = { reason };
        },
      },
    };
    try {
      const value = await component.run.call(self, { steps, $ });
      if (value !== undefined) exports["$return_value"] = value;
      workflow.onStep?.(name, exports);
    } catch (cause) {
      failure = { step: name, cause };
      break;
    }
    steps[name] = exports;
    if (exit) break;
  }
  isOver = true;

  const delivery = await publish(workflow, outbox, workflow.delivery).catch(asDeliveryError);
  if (failure) throw new StepError(failure.step, failure.cause, delivery);
  if (delivery instanceof DeliveryError) throw delivery;
  return { steps, delivered: delivery, exit };
}

/** Returns the error of a delivery as a value, so that the error of a step can carry it. */
function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  throw error;
}

interface BoundStep extends WorkflowStep {
  /** The `this` of its `run`. */
  self: Record<string, unknown>;
}

function bindSteps(steps: readonly WorkflowStep[]): BoundStep[] {
  const names = new Set(["trigger"]);
  return steps.map((step) => {
    if (names.has(step.name)) {
      throw new TypeError(
        `Cannot run the workflow: the step name ${step.name} is already used. Rename the step`,
      );
    }
    names.add(step.name);
    return { ...step, self: bindComponent(step.name, step.component, step.props) };
  });
}
