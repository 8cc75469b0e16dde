import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";
import {
  expectRows,
  expectText,
  openViewer,
  Pipeline,
  readRows,
  waitUntilLive,
} from "./viewer_page.ts";

testInChromium(
  "The viewer deletes the history after a confirmation, and clears its list",
  async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open();
    const pipeline = new Pipeline(service.url);
    const [a, b] = await pipeline.publish({}, {});
    await openViewer(tab, pipeline);
    await tab.page.click("#clear");
    await expectRows(tab, []);
    deepEqual([...(await pipeline.times()).keys()], [a, b]);
    const [c] = await pipeline.publish({});
    await expectRows(tab, [c!]);
    await tab.page.click("#delete");
    deepEqual(await tab.accessibilityViolations(), []);
    // The button that harms nothing has the focus, and Escape closes the dialog.
    equal(await tab.page.evaluate("document.activeElement.id"), "confirm-cancel");
    await tab.page.keyboard.press("Escape");
    await tab.page.click("#delete");
    await tab.page.click("#confirm-cancel");
    equal((await pipeline.times()).size, 3);
    await tab.page.click("#delete");
    await tab.page.click("#confirm-delete");
    await expectText(tab, "#deleted", "The history is deleted.");
    equal((await pipeline.times()).size, 0);
    await expectRows(tab, []);
    // The next commit is tried again after a moment, because the head has changed.
    const publishing = pipeline.publish({});
    await eventually("the event is shown", async () => {
      service.service.clock.advance(100);
      return (await readRows(tab)).length === 1;
    });
    await expectRows(tab, await publishing);
    deepEqual(tab.errors, []);
  },
);

testInChromium(
  "The viewer tells who may not delete the history, and lets a publisher do it",
  async () => {
    await using service = await startLocalService({
      ...TOKEN_SETTINGS,
      RUNNEL_SUBSCRIBE: "public",
    });
    await using tab = await BrowserPage.open();
    const page = `${service.url}/pipelines/p_a`;
    const headers = { "Content-Type": "application/json", ...bearerHeader(PUBLISH_TOKEN) };
    const url = `${service.url}/ingest/p_a/orders`;
    const published = await fetch(url, { method: "POST", headers, body: "1" });
    equal(published.status, 202, await published.text());
    await tab.page.goto(page);
    await waitUntilLive(tab);
    const remove = async () => {
      await tab.page.click("#delete");
      await tab.page.click("#confirm-delete");
    };
    await remove();
    await expectText(tab, "#token-why", "This service asks for a token.");
    await tab.page.click("text=Not now");
    await expectText(tab, "#deleted", "Not deleted: This needs a token.");
    await remove();
    await tab.page.fill("#token-input", await mint({ publish: ["p_a"], channels: ["orders"] }));
    await tab.page.keyboard.press("Enter");
    await tab.page.waitForSelector("#token-why:text('all channels')");
    await tab.page.click("text=Not now");
    await tab.page.waitForSelector("#deleted:text('all channels')");
    match(await tab.text("#deleted"), /^Not deleted: .*publish.* to all channels/);
    equal((await (await fetch(`${page}/events`)).json()).events.length, 1);
    await remove();
    await tab.page.fill("#token-input", PUBLISH_TOKEN);
    await tab.page.keyboard.press("Enter");
    await expectText(tab, "#deleted", "The history is deleted.");
    equal((await (await fetch(`${page}/events`)).json()).events.length, 0);
  },
);
