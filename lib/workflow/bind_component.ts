/**
 * The `this` of a component, as a step runs it.
 *
 * @module
 */

import type { Component } from "./component.ts";

/**
 * Creates the `this` of a component: the values of its properties, and its
 * methods, bound.
 *
 * @param step The name of the step, for error messages.
 * @throws {TypeError} If the component has no `run`, a required property has no
 *   value, or a value belongs to no property.
 *
 * @example The value of a property
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
      `Cannot run the step ${step}: its component has no run. Create it with defineComponent`,
    );
  }
  const { props = {}, methods = {} } = component;
  const self: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(methods)) self[name] = method.bind(self);
  for (const [name, prop] of Object.entries(props)) {
    const value = Object.hasOwn(values, name) ? values[name] : prop.default;
    if (value === undefined && !prop.optional) {
      throw new TypeError(
        `Cannot run the step ${step}: its prop ${name} has no value. Set one in props`,
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
