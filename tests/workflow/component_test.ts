import { strictEqual as equal, throws } from "node:assert/strict";
import { defineComponent } from "../../lib/workflow/component.ts";

const run = () => {};

Deno.test("defineComponent() returns its argument", () => {
  const component = { key: "greet", version: "0.0.1", run };
  equal(defineComponent(component), component);
});

for (const component of [undefined, null, {}, { run: "now" }, run]) {
  Deno.test(`defineComponent() refuses ${component && JSON.stringify(component)}: it has no run`, () => {
    throws(() => defineComponent(component as never), {
      name: "TypeError",
      message: "Cannot define the component: run is missing. " +
        "Expected { async run({ steps, $ }) { … } }",
    });
  });
}
