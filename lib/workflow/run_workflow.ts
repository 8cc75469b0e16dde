/**
 * Running a workflow: its steps one after the other, and the delivery of their events.
 *
 * @module
 */

import { bindComponent } from "./bind_component.ts";
import type { StepExports, Steps } from "./component.ts";
import { DeliveryError } from "./delivery_error.ts";
import { Outbox } from "./outbox.ts";
import { createActions } from "./step_actions.ts";
import { messageOf, StepError } from "./step_error.ts";
import { serializeStepEvent, type StepState } from "./step_event.ts";
import type { Workflow, WorkflowResult, WorkflowStep } from "./workflow.ts";

/**
 * Runs a workflow: the steps one after the other, then the delivery of all
 * events that they sent and that are not delivered yet.
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
 * @throws {DeliveryError} If the events are not delivered, or the run is not ended.
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
  const { live, announceSteps = false, end = false, delivery = {} } = workflow;
  const outbox = new Outbox(workflow, { ...delivery, live });
  const bound = bindSteps(workflow.steps);
  const steps: Steps = { trigger: { event: workflow.event } };
  let exit: WorkflowResult["exit"] = null;
  let failure: { step: string; cause: unknown } | null = null;

  for (const [index, { name, component, self }] of bound.entries()) {
    const announce = (state: StepState, error?: string) => {
      const place = { step: name, number: index + 1, of: bound.length };
      if (announceSteps) outbox.add(serializeStepEvent({ ...place, state, error }));
    };
    const exports: StepExports = {};
    const $ = createActions(outbox, {
      step: name,
      onExport: (key, value) => {
        exports[key] = value;
      },
      onExit: (reason) => {
        exit = { reason };
      },
    });
    announce("started");
    try {
      const value = await component.run.call(self, { steps, $ });
      if (value !== undefined) exports["$return_value"] = value;
      workflow.onStep?.(name, exports);
    } catch (cause) {
      failure = { step: name, cause };
      announce("failed", messageOf(cause));
      break;
    }
    steps[name] = exports;
    announce(exit ? "exited" : "finished");
    if (exit) break;
  }

  const outcome = await outbox.finish({ end }).catch(asDeliveryError);
  if (failure) throw new StepError(failure.step, failure.cause, outcome);
  if (outcome instanceof DeliveryError) throw outcome;
  return { steps, delivered: outcome, exit };
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
