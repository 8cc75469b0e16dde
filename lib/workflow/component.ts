/**
 * Components: the interface that the author of a workflow implements.
 *
 * @module
 */

import type { SendSse } from "./send_sse.ts";

/**
 * Exports of a step, by key. The return value of `run` is `$return_value`, and
 * each value of `$.export(key, value)` has its own key.
 *
 * @example Exports of a step that returns 7 and exports a name
 * ```ts
 * import type { StepExports } from "@runnel/workflow";
 *
 * const exports: StepExports = { $return_value: 7, name: "Luke" };
 * ```
 */
export type StepExports = Record<string, unknown>;

/**
 * Exports of the trigger and of the earlier steps, by the name of the step.
 *
 * @example Exports of the trigger and of one step
 * ```ts
 * import type { Steps } from "@runnel/workflow";
 *
 * const steps: Steps = {
 *   trigger: { event: { name: "Luke" } },
 *   greet: { $return_value: "Hello, Luke" },
 * };
 * ```
 */
export interface Steps {
  /** The event that the workflow was started with. */
  trigger: { event: unknown };
  /** Exports of an earlier step; `undefined` if there is no earlier step of that name. */
  [name: string]: StepExports;
}

/**
 * Actions of a step, which `run` gets as `$`.
 *
 * @example Send an event from a helper function
 * ```ts
 * import { type Actions, defineComponent } from "@runnel/workflow";
 *
 * function greet($: Actions, name: string) {
 *   $.send.sse({ channel: "greetings", payload: `Hello, ${name}` });
 * }
 * const component = defineComponent({
 *   run({ $ }) {
 *     greet($, "Luke");
 *   },
 * });
 * ```
 */
export interface Actions {
  /** Destinations of events. */
  send: {
    /**
     * Sends events to the subscribers of the workflow's pipeline: one by
     * `sse({ channel, payload })`, those of a source by `sse.stream({ channel, source })`.
     */
    sse: SendSse;
  };
  /** Exports a value to the later steps, as `steps.<this step>.<key>`. */
  export(key: string, value: unknown): void;
  /** Control flow. */
  flow: {
    /** Ends the workflow after this step: `return $.flow.exit("nothing to do")`. */
    exit(reason?: string): void;
  };
}

/**
 * Argument of a component's `run`.
 *
 * @example A function that can be the `run` of several components
 * ```ts
 * import { defineComponent, type RunContext } from "@runnel/workflow";
 *
 * function run({ steps, $ }: RunContext) {
 *   $.send.sse({ channel: "events", payload: steps.trigger.event });
 * }
 * const component = defineComponent({ run });
 * ```
 */
export interface RunContext {
  /** Exports of the trigger and of the earlier steps. */
  steps: Steps;
  /** Actions of the step. */
  $: Actions;
}

/**
 * Property of a component, which is set where the component is used.
 *
 * @example A property with a default
 * ```ts
 * import type { Prop } from "@runnel/workflow";
 *
 * const greeting: Prop = { type: "string", default: "Hello" };
 * ```
 */
export interface Prop {
  /** Type of its value, for readers and editors: it is not checked. */
  type?: string;
  /** Value of the property if none is set. */
  default?: unknown;
  /**
   * Whether the property may stay without a value.
   *
   * @default {false}
   */
  optional?: boolean;
  /** Any other description. */
  [description: string]: unknown;
}

/**
 * Methods of a component, by name. `run` and the methods call them by `this`.
 *
 * @example One method
 * ```ts
 * import type { Methods } from "@runnel/workflow";
 *
 * const methods: Methods = { greet: (name: string) => `Hello, ${name}` };
 * ```
 */
export type Methods = Record<string, (...args: never[]) => unknown>;

/**
 * The `this` of a component: the values of its properties and its methods.
 *
 * @typeParam P The properties.
 * @typeParam M The methods.
 *
 * @example The this of a component with one property and one method
 * ```ts
 * import type { This } from "@runnel/workflow";
 *
 * const self: This<{ name: { type: string } }, { greet(): string }> = {
 *   name: "Luke",
 *   greet: () => "Hello, Luke",
 * };
 * ```
 */
export type ComponentThis<P, M> = { [name in keyof P]: unknown } & M;

/**
 * Component: the code of a step, with the properties that a workflow sets.
 *
 * @typeParam P The properties.
 * @typeParam M The methods.
 *
 * @example A component of any properties and methods
 * ```ts
 * import type { Component } from "@runnel/workflow";
 *
 * const component: Component = {
 *   run: ({ $ }) => $.send.sse({ channel: "events", payload: "Luke" }),
 * };
 * ```
 */
export interface Component<P = Record<string, Prop>, M = Methods> {
  /**
   * Runs the step. Its `this` has the values of the properties and the methods.
   * The step has finished when the returned promise has settled.
   */
  run(context: RunContext): unknown;
  /** Properties, by name. */
  props?: P;
  /** Functions that `run` calls by `this`. */
  methods?: M;
  /** Any other description, such as a key, a name and a version. */
  [description: string]: unknown;
}

/**
 * Defines a component. It returns its argument: it exists so that an editor
 * knows the parts of a component, and the type of `this` in them.
 *
 * @typeParam P The properties.
 * @typeParam M The methods.
 * @param component The component.
 * @returns The same component.
 * @throws {TypeError} If the component has no `run`.
 *
 * @example A component with a property
 * ```ts
 * import { defineComponent } from "@runnel/workflow";
 *
 * const component = defineComponent({
 *   props: { name: { type: "string", default: "Luke Skywalker" } },
 *   async run({ steps, $ }) {
 *     $.send.sse({ channel: "events", payload: { name: this.name } });
 *   },
 * });
 * ```
 */
export function defineComponent<
  P extends Record<string, Prop> = Record<never, Prop>,
  M extends Methods = Record<never, never>,
>(
  component: Component<P, M> & ThisType<ComponentThis<P, M>>,
): Component<P, M> {
  if (typeof component?.run !== "function") {
    throw new TypeError(
      "Cannot define the component: run is missing. Expected { async run({ steps, $ }) { … } }",
    );
  }
  return component;
}
