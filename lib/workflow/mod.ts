/**
 * What a workflow imports: its steps call `$.send.sse({ channel, payload })`,
 * and everyone who listens to the workflow's stream receives it. It runs in
 * Node 20 and later, in Deno and in a browser, with no dependency but `fetch`.
 *
 * @example
 * ```ts ignore
 * import { defineComponent, runWorkflow } from "@runnel/workflow";
 *
 * const hello = defineComponent({
 *   async run({ steps, $ }) {
 *     $.send.sse({ channel: "events", payload: { name: "Luke Skywalker" } });
 *   },
 * });
 * const { delivered } = await runWorkflow({
 *   pipeline: "p_aBcDeF",
 *   url: "http://localhost:8000",
 *   steps: [{ name: "hello", component: hello }],
 * });
 * console.log(delivered);
 * ```
 *
 * @module
 */

export {
  type Actions,
  type Component,
  defineComponent,
  type Methods,
  type Prop,
  type RunContext,
  type StepExports,
  type Steps,
  type This,
} from "./component.ts";
export { type DeliveredEvent, DeliveryError, type UnsentRequest } from "./delivery_error.ts";
export type { Destination } from "./destination.ts";
export type { Fetch } from "./publish_once.ts";
export type { DeliveryOptions } from "./publisher.ts";
export {
  runWorkflow,
  StepError,
  type Workflow,
  type WorkflowResult,
  type WorkflowStep,
} from "./run_workflow.ts";
export type { SseEvent } from "./serialized_event.ts";
