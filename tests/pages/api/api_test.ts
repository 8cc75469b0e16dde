import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { startLocalService } from "../../support/servers/local_service.ts";

testInChromium("The API page shows each route of the document, and who needs a token", async () => {
  await using service = await startLocalService(TOKEN_SETTINGS);
  await using tab = await BrowserPage.open();
  await tab.page.goto(`${service.url}/openapi.json`);
  await tab.page.waitForSelector(".route");
  const { paths } = await (await fetch(`${service.url}/openapi.json`)).json();
  const routes = Object.entries<object>(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  );
  deepEqual((await tab.texts(".route h3")).toSorted(), routes.toSorted());
  const ingest = await tab.text('[aria-labelledby="post-ingest"]');
  ok(ingest.includes("Needs this: A publish token or a JSON Web Token"), ingest);
  const downloading = tab.page.waitForEvent("download");
  await tab.page.click("#json");
  const download = await downloading;
  equal(download.suggestedFilename(), "openapi.json");
  deepEqual(JSON.parse(await Deno.readTextFile(await download.path())).paths, paths);
  ok(!(await tab.text('[aria-labelledby="get-healthz"]')).includes("Needs"));
  await tab.page.click(
    '[aria-labelledby="get-pipelines-pipeline-sse"] dd summary >> nth=0',
  );
  ok(
    (await tab.text('[aria-labelledby="get-pipelines-pipeline-sse"]')).includes(
      "runnel.gap",
    ),
  );
  deepEqual(tab.errors, []);
});

testInChromium("The API page is accessible, in light, dark, wide and narrow", async () => {
  await using service = await startLocalService(TOKEN_SETTINGS);
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [1280, 360]) {
      await using tab = await BrowserPage.open({ colorScheme, viewport: { width, height: 740 } });
      await tab.page.goto(`${service.url}/openapi.json`);
      await tab.page.waitForSelector(".route");
      await tab.page.click(".route summary >> nth=0");
      deepEqual(await tab.accessibilityViolations(), []);
      equal(await tab.page.evaluate("document.documentElement.scrollWidth"), width);
      deepEqual(tab.errors, []);
    }
  }
});

testInChromium(
  "The page of a problem is accessible, in light, dark, and at a phone's width",
  async () => {
    await using service = await startLocalService(TOKEN_SETTINGS);
    for (const colorScheme of ["light", "dark"] as const) {
      await using tab = await BrowserPage.open({
        colorScheme,
        viewport: { width: 360, height: 740 },
      });
      const response = await tab.page.goto(`${service.url}/pipelines/p_a/events`);
      equal(response!.status(), 401);
      equal(await tab.text("h1"), "Unauthorized");
      deepEqual(await tab.accessibilityViolations(), []);
      equal(await tab.page.evaluate("document.documentElement.scrollWidth"), 360);
      await tab.page.click("text=live page");
      await tab.page.waitForSelector("#token-input");
    }
  },
);
