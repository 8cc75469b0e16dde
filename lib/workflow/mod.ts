/**
 * The npm package `@runnel/workflow`. The steps of a workflow call
 * `$.send.sse({ channel, payload })`, and all subscribers of the workflow's
 * pipeline receive the events. It runs in Node 20 and later, in Deno and in
 * browsers, and has no dependencies.
 *
 * @example Run a workflow of one step
 * ```ts ignore
 * import { defineComponent, runWorkflow } from "@runnel/workflow";
 *
 * const hello = defineComponent({
 *   async run({ steps, $ }) {
 *     $.send.sse({ channel: "events", payload: steps.trigger.event });
 *   },
 * });
 *
 * const { delivered } = await runWorkflow({
 *   url: "http://localhost:8000",
 *   pipeline: "p_aBcDeF",
 *   steps: [{ name: "hello", component: hello }],
 *   event: { name: "Luke Skywalker" },
 * });
 * console.log(delivered);
 * ```
 *
 * @module
 */

export {
  type Actions,
  type Component,
  type ComponentThis as This,
  defineComponent,
  type Methods,
  type Prop,
  type RunContext,
  type StepExports,
  type Steps,
} from "./component.ts";
export { type DeliveredEvent, DeliveryError, type UnsentRequest } from "./delivery_error.ts";
export type { Destination } from "./destination.ts";
export type { Fetch } from "./publish_once.ts";
export type { DeliveryOptions } from "./publisher.ts";
export { runWorkflow } from "./run_workflow.ts";
export type { SendSse, SseSource, SseStream } from "./send_sse.ts";
export type { SseEvent } from "./serialized_event.ts";
export { StepError } from "./step_error.ts";
export type { Workflow, WorkflowResult, WorkflowStep } from "./workflow.ts";
