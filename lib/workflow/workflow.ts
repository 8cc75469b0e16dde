/**
 * Workflows and their results.
 *
 * @module
 */

import type { Component, Steps } from "./component.ts";
import type { DeliveredEvent } from "./delivery_error.ts";
import type { Destination } from "./destination.ts";
import type { DeliveryOptions } from "./publisher.ts";

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
  /**
   * Whether each event is sent when a step sends it, or all when the workflow has finished.
   *
   * A step does not learn of a failed delivery: `runWorkflow` rejects at the end.
   *
   * @default {false}
   */
  live?: boolean | undefined;
  /**
   * Whether to add events about the steps, on the channel `steps`, such as
   * `{ step: "greet", number: 1, of: 3, state: "started" }`.
   *
   * A step that has started becomes `finished`, `exited` (by `$.flow.exit()`) or `failed`.
   * A failed one has an `error`, the message of its error, which all subscribers see.
   *
   * @default {false}
   */
  announceSteps?: boolean | undefined;
  /**
   * Whether to end the run of the pipeline after the last event, also if a step fails:
   * the streams of the pipeline end, and it takes no further events.
   *
   * @default {false}
   */
  end?: boolean | undefined;
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
