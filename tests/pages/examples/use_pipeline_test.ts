// deno-lint-ignore no-import-prefix -- what deno.json names is downloaded at the first start
import "npm:react@^19.3.1";
// deno-lint-ignore no-import-prefix -- what deno.json names is downloaded at the first start
import "npm:react-dom@^19.3.1/client";
import { testInChromium } from "../../support/browser/chromium.ts";
import { bundleCommonJs } from "../../support/browser/common_js.ts";
import { readExample } from "./example_files.ts";
import { testFramework } from "./framework_page.ts";

/** A component that uses the hook. StrictMode mounts it twice. */
const SCRIPT = `
import { createElement, StrictMode } from "react";
import { load } from "/packages.js";
import { usePipeline } from "/use_pipeline.js";

function Orders({ url, pipelines }) {
  const options = { pipelines, channels: ["orders", "payments"] };
  const { state, events } = usePipeline(url, options, 3);
  const items = events.map(({ type, id, channel, missed, data }) =>
    createElement("li", { key: channel + id }, type === "gap" ? "gap " + missed : channel + " " + data));
  return createElement("main", {}, createElement("p", {}, state), createElement("ul", {}, items));
}

const root = load("react-dom/client").createRoot(document.getElementById("root"));
window.show = (url, pipelines) => root.render(
  createElement(StrictMode, {}, pipelines && createElement(Orders, { url, pipelines })),
);
`;

testInChromium("usePipeline() follows pipelines in React", async () => {
  await testFramework({
    imports: { "react": "/react.js" },
    script: SCRIPT,
    files: {
      "use_pipeline.js": await readExample("use_pipeline.js"),
      "packages.js": await bundleCommonJs({
        "react": "npm:react@^19.3.1",
        "react-dom/client": "npm:react-dom@^19.3.1/client",
      }),
      "react.js": `import { load } from "/packages.js";
        export const { createElement, StrictMode, useEffect, useState } = load("react");`,
    },
  });
});
