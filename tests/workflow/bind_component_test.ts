import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { bindComponent } from "../../lib/workflow/bind_component.ts";
import type { Component } from "../../lib/workflow/component.ts";

const run = () => {};

for (const component of [undefined, null, {}, { run: "now" }, run]) {
  Deno.test(`bindComponent() refuses ${component && JSON.stringify(component)}: it has no run`, () => {
    throws(() => bindComponent("greet", component as never), {
      name: "TypeError",
      message:
        "Cannot run the step greet: its component has no run. Create it with defineComponent",
    });
  });
}

const props = {
  name: { type: "string" },
  greeting: { type: "string", default: "Hello" },
  title: { type: "string", optional: true },
};

const given: [values: Record<string, unknown> | undefined, self: Record<string, unknown>][] = [
  [{ name: "Luke" }, { name: "Luke", greeting: "Hello", title: undefined }],
  [{ name: "Luke", greeting: "Hi", title: "Mr" }, { name: "Luke", greeting: "Hi", title: "Mr" }],
  [{ name: null, greeting: "" }, { name: null, greeting: "", title: undefined }],
];

for (const [values, self] of given) {
  Deno.test(`bindComponent() sets ${JSON.stringify(values)}`, () => {
    deepEqual(bindComponent("greet", { props, run }, values), self);
  });
}

Deno.test("bindComponent() needs no values for a component without props", () => {
  deepEqual(bindComponent("greet", { run }), {});
});

const refused: [what: string, values: Record<string, unknown> | undefined, problem: string][] = [
  ["no values", undefined, "its prop name has no value. Set one in props"],
  ["a missing value", {}, "its prop name has no value. Set one in props"],
  ["an undefined value", { name: undefined }, "its prop name has no value. Set one in props"],
  [
    "an unknown prop",
    { name: "Luke", nmae: "Han" },
    "it has no prop nmae. It has: name, greeting, title",
  ],
  [
    "an inherited name",
    { name: "Luke", toString: "Han" },
    "it has no prop toString. It has: name, greeting, title",
  ],
];

for (const [what, values, problem] of refused) {
  Deno.test(`bindComponent() refuses ${what}, and names the prop`, () => {
    throws(() => bindComponent("greet", { props, run }, values), {
      name: "TypeError",
      message: `Cannot run the step greet: ${problem}`,
    });
  });
}

Deno.test("bindComponent() refuses values for a component without props", () => {
  throws(() => bindComponent("greet", { run }, { name: "Luke" }), /It has: no props$/);
});

Deno.test("bindComponent() binds methods to the props and to each other", () => {
  const component: Component = {
    props,
    methods: {
      greet(this: Record<string, () => string>) {
        return `${this["greeting"]}, ${this["shout"]!()}`;
      },
      shout(this: Record<string, string>) {
        return this["name"]!.toUpperCase();
      },
    },
    run,
  };
  const { greet } = bindComponent("greet", component, { name: "Luke" });
  equal((greet as () => string)(), "Hello, LUKE");
});
