/**
 * What the author of a workflow writes, and what it is given.
 *
 * @module
 */

import type { SseEvent } from "./serialized_event.ts";

/** What a step gave to those after it: its exports by their keys, `$return_value` among them. */
export type StepExports = Record<string, unknown>;

/** What the trigger and the steps before gave, by the step's name. */
export interface Steps {
  /** What the workflow was started with. */
  trigger: { event: unknown };
  /** What a step before gave; nothing if there was none of that name. */
  [name: string]: StepExports;
}

/** What a step does to the world outside. */
export interface Actions {
  /** Destinations. */
  send: {
    /**
     * Sends an event to those who listen to the workflow's stream. It returns at
     * once and is not awaited: all calls are collected, and delivered in their
     * order when the workflow has finished.
     *
     * @throws {TypeError} If the channel or the payload is missing, or is none.
     * @throws {RangeError} If the payload is larger or deeper than the service takes.
     */
    sse(event: SseEvent): void;
  };
  /** Gives a value to the steps after this one, as `steps.<this step>.<key>`. */
  export(key: string, value: unknown): void;
  /** What happens next. */
  flow: {
    /** Ends the workflow after this step: `return $.flow.exit("nothing to do")`. */
    exit(reason?: string): void;
  };
}

/** What a component's `run` is called with. */
export interface RunContext {
  /** What the trigger and the steps before gave. */
  steps: Steps;
  /** What the step can do. */
  $: Actions;
}

/** A property that whoever runs a component sets. */
export interface Prop {
  /** What kind of value it takes. */
  type?: string;
  /** Its value where none is given. */
  default?: unknown;
  /** Whether it may have none. */
  optional?: boolean;
  /** Whatever else describes it. */
  [description: string]: unknown;
}

/** Functions of a component. */
export type Methods = Record<string, (...args: never[]) => unknown>;

/** What `this` is in a component: the values of its props, and its methods. */
export type This<P, M> = { [name in keyof P]: unknown } & M;

/** A step of a workflow, or an action that is used as one. */
export interface Component<P = Record<string, Prop>, M = Methods> {
  /** Does the step. In it, `this` has the values of the props, and the methods. */
  run(context: RunContext): unknown;
  /** What whoever runs it sets. */
  props?: P;
  /** Functions that `run` calls by `this`. */
  methods?: M;
  /** Whatever else describes it, such as a key, a name and a version. */
  [description: string]: unknown;
}

/**
 * Declares a component. It gives back what it was given: its use is to tell an
 * editor what the parts are, what `this` has among them.
 *
 * @typeParam P Its props.
 * @typeParam M Its methods.
 * @param component The component.
 * @throws {TypeError} If it has no `run`.
 *
 * @example
 * ```ts
 * const component = defineComponent({
 *   async run({ steps, $ }) {
 *     $.send.sse({ channel: "events", payload: { name: "Luke Skywalker" } });
 *   },
 * });
 * ```
 */
export function defineComponent<
  P extends Record<string, Prop> = Record<never, Prop>,
  M extends Methods = Record<never, never>,
>(
  component: Component<P, M> & ThisType<This<P, M>>,
): Component<P, M> {
  if (typeof component?.run !== "function") {
    throw new TypeError(
      "Cannot define the component: run is missing. Expected { async run({ steps, $ }) { … } }",
    );
  }
  return component;
}

/**
 * What `this` is in a component's `run`: the values of its props and its
 * methods.
 *
 * @param step The name of the step that it is.
 * @param component The component.
 * @param values The values of its props, by name.
 * @throws {TypeError} If it is none, or a prop has no value and needs one, or is
 *   not the component's.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const component = { props: { name: { type: "string" } }, run() {} };
 * equal(bindComponent("greet", component, { name: "Luke" })["name"], "Luke");
 * ```
 */
export function bindComponent(
  step: string,
  component: Component,
  values: Record<string, unknown> = {},
): Record<string, unknown> {
  if (typeof component?.run !== "function") {
    throw new TypeError(
      `Cannot run the step ${step}: its component has no run. Make it with defineComponent`,
    );
  }
  const { props = {}, methods = {} } = component;
  const self: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(methods)) self[name] = method.bind(self);
  for (const [name, prop] of Object.entries(props)) {
    const value = Object.hasOwn(values, name) ? values[name] : prop.default;
    if (value === undefined && !prop.optional) {
      throw new TypeError(
        `Cannot run the step ${step}: its prop ${name} has no value. Give it one`,
      );
    }
    self[name] = value;
  }
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(props, name));
  if (unknown !== undefined) {
    const known = Object.keys(props).join(", ") || "no props";
    throw new TypeError(`Cannot run the step ${step}: it has no prop ${unknown}. It has: ${known}`);
  }
  return self;
}
