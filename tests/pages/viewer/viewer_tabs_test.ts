import { match, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { openViewer, Pipeline } from "./viewer_page.ts";

testInChromium(
  "A tab beyond the connections of the browser says why it waits, then goes on",
  async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open();
    const pipeline = new Pipeline(service.url);
    const context = tab.page.context();
    await openViewer(tab, pipeline);
    for (let i = 0; i < 4; i++) {
      const page = await context.newPage();
      await page.goto(i % 2 === 0 ? pipeline.page : service.url);
      await page.waitForSelector('#state[data-state="live"]');
    }
    // The sixth and the seventh: without the limit this one would not load at all.
    const [sixth, seventh] = [await context.newPage(), await context.newPage()];
    await sixth.goto(service.url);
    await sixth.waitForSelector('#state[data-state="needs-slot"]');
    match(
      await sixth.innerText("#state"),
      /^Waiting for another tab\. 5 other tabs of this browser /,
    );
    const [id] = await pipeline.publish({});
    await seventh.goto(pipeline.page);
    await seventh.waitForSelector('#state[data-state="needs-slot"]');
    match(await seventh.innerText(".state-more"), /^5 other tabs of this browser show streams/);
    // The history takes a connection for a moment only.
    await seventh.waitForSelector(`[data-id="${id}"]`);
    await tab.page.close();
    await sixth.waitForSelector('#state[data-state="live"]');
    equal(await seventh.getAttribute("#state", "data-state"), "needs-slot");
    await sixth.close();
    await seventh.waitForSelector('#state[data-state="live"]');
    equal(await seventh.innerText(".state-more"), "");
  },
);
