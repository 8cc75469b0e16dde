// deno-lint-ignore no-import-prefix -- what deno.json names is downloaded at the first start
import { compile } from "npm:svelte@^5.57.3/compiler";
import { bundleForBrowsers } from "../../support/browser/bundle.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { readExample } from "./example_files.ts";
import { testFramework } from "./framework_page.ts";

/** A component that uses the store. */
const COMPONENT = `
<script>
  import { pipelineStore } from "/pipeline_store.js";

  const { url, pipelines } = $props();
  const orders = pipelineStore(url, { pipelines, channels: ["orders", "payments"] }, 3);
</script>

<main>
  <p>{$orders.state}</p>
  <ul>
    {#each $orders.events as { type, id, channel, missed, data } (channel + id)}
      <li>{type === "gap" ? "gap " + missed : channel + " " + data}</li>
    {/each}
  </ul>
</main>
`;

const SCRIPT = `
import { mount, unmount } from "svelte";
import Orders from "/orders.js";

const target = document.getElementById("root");
let component;
window.show = (url, pipelines) => {
  if (component) unmount(component);
  component = pipelines && mount(Orders, { target, props: { url, pipelines } });
};
`;

testInChromium("pipelineStore() follows pipelines in Svelte", async () => {
  const { js } = compile(COMPONENT, { name: "Orders", runes: true, discloseVersion: false });
  await testFramework({
    imports: {
      "svelte": "/svelte.js",
      "svelte/store": "/svelte_store.js",
      "svelte/internal/client": "/svelte_client.js",
    },
    script: SCRIPT,
    files: {
      "pipeline_store.js": await readExample("pipeline_store.js"),
      "orders.js": js.code,
      ...await bundleForBrowsers({
        "svelte": 'export { mount, unmount } from "npm:svelte@^5.57.3";',
        "svelte_store": 'export * from "npm:svelte@^5.57.3/store";',
        "svelte_client": 'export * from "npm:svelte@^5.57.3/internal/client";',
      }),
    },
  });
});
