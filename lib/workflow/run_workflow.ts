/**
 * Runs the steps of a workflow, and then delivers what they sent.
 *
 * @module
 */

import { type Actions, bindComponent, type Component, type Steps } from "./component.ts";
import { type DeliveredEvent, DeliveryError } from "./delivery_error.ts";
import { type Destination, ingestUrl } from "./destination.ts";
import { type DeliveryOptions, publish } from "./publisher.ts";
import { type SerializedEvent, serializeEvent } from "./serialized_event.ts";

/** A step of a workflow. */
export interface WorkflowStep {
  /** What later steps know it by, as `steps.<name>`. */
  name: string;
  /** What it does. */
  component: Component;
  /** The values of the component's props, by name. */
  props?: Record<string, unknown> | undefined;
}

/** A workflow to be run. */
export interface Workflow extends Destination {
  /** The steps, in order. */
  steps: readonly WorkflowStep[];
  /** What triggered it: `steps.trigger.event`. */
  event?: unknown;
  /** Hears of each step that has finished, with what it gave. If it throws, the step has failed. */
  onStep?: (name: string, exports: Readonly<Record<string, unknown>>) => void;
  /** What the delivery works with. */
  delivery?: DeliveryOptions;
}

/** A workflow that has run. */
export interface WorkflowResult {
  /** What the trigger and the steps gave. */
  steps: Steps;
  /** What was sent, with its IDs. */
  delivered: DeliveredEvent[];
  /** Why it ended early, if it did. */
  exit: { reason: string | undefined } | null;
}

/** The failure of a step. What was sent until then was delivered, if it could be. */
export class StepError extends Error {
  /** The name of the step. */
  readonly step: string;
  /** What was sent before the failure, with its IDs. */
  readonly delivered: readonly DeliveredEvent[];
  /** The failure to deliver that, if there was one besides. */
  readonly delivery: DeliveryError | null;

  /**
   * Makes an error.
   *
   * @param step The name of the step.
   * @param cause What it threw.
   * @param delivery What became of what was sent.
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
 * Runs a workflow: each step after the one before it, and then the delivery of
 * all that they sent. Where a step fails, those after it do not run, and what
 * was sent until then is delivered. A step whose promise never settles keeps the
 * workflow waiting: give what it awaits a time limit.
 *
 * @param workflow The workflow.
 * @returns What the steps gave and what was sent, once that is durable.
 * @throws {TypeError} If the pipeline, the address, a step's name or its props
 *   are none: then nothing has run.
 * @throws {StepError} If a step failed.
 * @throws {DeliveryError} If what was sent was not delivered.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { defineComponent } from "./component.ts";
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
              `Cannot send: the workflow has finished. Await in ${name} what calls $.send.sse()`,
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

function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  throw error;
}

interface BoundStep extends WorkflowStep {
  /** What `this` is in its `run`. */
  self: Record<string, unknown>;
}

function bindSteps(steps: readonly WorkflowStep[]): BoundStep[] {
  const names = new Set(["trigger"]);
  return steps.map((step) => {
    if (names.has(step.name)) {
      throw new TypeError(
        `Cannot run the workflow: there is a step ${step.name} already. Rename one of them`,
      );
    }
    names.add(step.name);
    return { ...step, self: bindComponent(step.name, step.component, step.props) };
  });
}
