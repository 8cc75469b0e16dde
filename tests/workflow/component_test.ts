import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { bindComponent, type Component, defineComponent } from "../../lib/workflow/component.ts";

const run = () => {};

Deno.test("defineComponent() gives back what it was given", () => {
  const component = { key: "greet", version: "0.0.1", run };
  equal(defineComponent(component), component);
});

for (const component of [undefined, null, {}, { run: "now" }, run]) {
  Deno.test(`defineComponent() refuses ${component && JSON.stringify(component)}, which has no run`, () => {
    throws(() => defineComponent(component as never), {
      name: "TypeError",
      message: "Cannot define the component: run is missing. " +
        "Expected { async run({ steps, $ }) { … } }",
    });
    throws(() => bindComponent("greet", component as never), {
      name: "TypeError",
      message: "Cannot run the step greet: its component has no run. Make it with defineComponent",
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
  Deno.test(`bindComponent() makes ${JSON.stringify(values)} what this is`, () => {
    deepEqual(bindComponent("greet", { props, run }, values), self);
  });
}

Deno.test("bindComponent() needs no props where there are none to set", () => {
  deepEqual(bindComponent("greet", { run }), {});
});

const refused: [values: Record<string, unknown> | undefined, problem: string][] = [
  [undefined, "its prop name has no value. Give it one"],
  [{}, "its prop name has no value. Give it one"],
  [{ name: undefined }, "its prop name has no value. Give it one"],
  [{ name: "Luke", nmae: "Han" }, "it has no prop nmae. It has: name, greeting, title"],
  [{ name: "Luke", toString: "Han" }, "it has no prop toString. It has: name, greeting, title"],
];

for (const [values, problem] of refused) {
  Deno.test(`bindComponent() says of ${JSON.stringify(values)}: ${problem}`, () => {
    throws(() => bindComponent("greet", { props, run }, values), {
      name: "TypeError",
      message: `Cannot run the step greet: ${problem}`,
    });
  });
}

Deno.test("bindComponent() says of props for a component without any that it has none", () => {
  throws(() => bindComponent("greet", { run }, { name: "Luke" }), /It has: no props$/);
});

Deno.test("bindComponent() binds methods to what this is, each other and the props included", () => {
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
