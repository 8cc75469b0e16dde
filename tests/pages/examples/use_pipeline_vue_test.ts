import { bundleForBrowsers } from "../../support/browser/bundle.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { readExample } from "./example_files.ts";
import { testFramework } from "./framework_page.ts";

/** A component that uses the composable. It is made anew with other pipelines. */
const SCRIPT = `
import { createApp, h, shallowRef } from "vue";
import { usePipeline } from "/use_pipeline_vue.js";

const Orders = {
  props: ["url", "pipelines"],
  setup({ url, pipelines }) {
    return usePipeline(url, { pipelines, channels: ["orders", "payments"] }, 3);
  },
  template: \`<main><p>{{ state }}</p><ul><li v-for="event of events" :key="event.channel + event.id">
    {{ event.type === "gap" ? "gap " + event.missed : event.channel + " " + event.data }}
  </li></ul></main>\`,
};

const shown = shallowRef(null);
createApp({
  render: () => shown.value && h(Orders, { ...shown.value, key: shown.value.pipelines.join() }),
}).mount("#root");
window.show = (url, pipelines) => {
  shown.value = pipelines && { url, pipelines };
};
`;

testInChromium("usePipeline() follows pipelines in Vue", async () => {
  await testFramework({
    imports: { "vue": "/vue.js" },
    script: SCRIPT,
    files: {
      "use_pipeline_vue.js": await readExample("use_pipeline_vue.js"),
      ...await bundleForBrowsers({
        // With the compiler of templates.
        "vue": 'export * from "npm:vue@^3.5.45/dist/vue.esm-browser.prod.js";',
      }),
    },
  });
});
