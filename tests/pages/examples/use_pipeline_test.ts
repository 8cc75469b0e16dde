import { deepStrictEqual as deepEqual } from "node:assert/strict";
// deno-lint-ignore no-import-prefix -- what deno.json names is downloaded at the first start
import "npm:react@^19.3.1";
// deno-lint-ignore no-import-prefix -- what deno.json names is downloaded at the first start
import "npm:react-dom@^19.3.1/client";
import { launchChromium, testInChromium } from "../../support/browser/chromium.ts";
import { bundleCommonJs } from "../../support/browser/common_js.ts";
import { openWatchedPage } from "../../support/browser/watched_page.ts";
import { serveLocally } from "../../support/servers/local_server.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";
import { readExample } from "./example_files.ts";

/** A page with a component that uses the hook. */
const PAGE = `<!DOCTYPE html>
<title>Test</title>
<link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "react": "/react.js" } }</script>
<div id="root"></div>
<script type="module">
import { createElement, StrictMode } from "react";
import { load } from "/packages.js";
import { usePipeline } from "/use_pipeline.js";

function Orders({ url }) {
  const { state, events } = usePipeline(url, ["orders", "payments"], 3);
  const items = events.map(({ id, channel, payload }) =>
    createElement("li", { key: channel + id }, channel + " " + JSON.stringify(payload)));
  return createElement("main", {}, createElement("p", {}, state), createElement("ul", {}, items));
}

const root = load("react-dom/client").createRoot(document.getElementById("root"));
window.show = (url) => root.render(
  createElement(StrictMode, {}, url === null ? null : createElement(Orders, { url })),
);
</script>
`;

/** The files of the page. */
async function createFiles(): Promise<Record<string, string>> {
  return {
    "/": PAGE,
    "/use_pipeline.js": await readExample("use_pipeline.js"),
    "/packages.js": await bundleCommonJs({
      "react": "npm:react@^19.3.1",
      "react-dom/client": "npm:react-dom@^19.3.1/client",
    }),
    "/react.js": `import { load } from "/packages.js";
      export const { createElement, StrictMode, useEffect, useState } = load("react");`,
  };
}

testInChromium("usePipeline() follows a pipeline in React", async () => {
  await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
  const files = await createFiles();
  await using site = serveLocally((request) => {
    const path = new URL(request.url).pathname;
    const type = path === "/" ? "text/html" : "text/javascript";
    const status = path in files ? 200 : 404;
    const headers = { "Content-Type": `${type}; charset=utf-8` };
    return Promise.resolve(new Response(files[path] ?? "", { status, headers }));
  });
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  const { page, complaints } = await openWatchedPage(browser);
  const url = (pipeline: string) => `${service.url}/pipelines/${pipeline}/sse`;
  const show = (url: string | null) => page.evaluate(`show(${JSON.stringify(url)})`);
  const shows = async (state: string, ...items: string[]) => {
    let shown: string[] = [];
    await eventually(`the page shows ${[state, ...items]}`, async () => {
      shown = await page.locator("p, li").allInnerTexts();
      return shown.join() === [state, ...items].join();
    }).catch(() => {});
    deepEqual(shown, [state, ...items]);
  };

  await page.goto(site.url);
  await page.waitForFunction("window.show");
  for (const channel of ["orders", "payments", "refunds"]) await service.publish("p_a", channel, 1);
  await show(url("p_a"));
  await shows("live", "orders 1", "payments 1");
  await service.publish("p_a", "orders", { name: "Luke" });
  await service.publish("p_a", "orders", 3);
  await shows("live", "payments 1", 'orders {"name":"Luke"}', "orders 3");
  // StrictMode mounts twice, and renderings create new arrays of channels: still one stream.
  await eventually("one stream is open", () => service.stats.subscribers === 1);
  deepEqual(complaints, []);

  await service.cut(async () => {
    await shows("connecting", "payments 1", 'orders {"name":"Luke"}', "orders 3");
    await service.publish("p_a", "payments", 4);
  });
  await shows("live", 'orders {"name":"Luke"}', "orders 3", "payments 4");

  await service.publish("p_b", "orders", 5);
  await show(url("p_b"));
  await shows("live", "orders 5");
  await eventually("only the new stream is open", () => service.stats.subscribers === 1);

  const end = await fetch(`${service.url}/pipelines/p_b/end`, { method: "POST" });
  await end.body?.cancel();
  await shows("ended", "orders 5");
  await eventually("the stream is closed", () => service.stats.subscribers === 0);
  await show(url("p_a"));
  await shows("live", 'orders {"name":"Luke"}', "orders 3", "payments 4");

  await show(null);
  await eventually("the stream is closed", () => service.stats.subscribers === 0);

  await show(`${service.url}/pipelines/none/sse`);
  await shows("refused");

  await page.route("**/p_gap/sse", (route) =>
    route.fulfill({
      contentType: "text/event-stream",
      headers: { "Access-Control-Allow-Origin": "*" },
      body: 'retry: 30000\n\nid: a-8\nevent: runnel.gap\ndata: {"missed":7,"reason":"evicted"}\n\n',
    }));
  await show(url("p_gap"));
  await shows("connecting", 'runnel.gap {"missed":7,"reason":"evicted"}');
});
