import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { expectRows, expectText, FAILED_REQUEST, openViewer, Pipeline } from "./viewer_page.ts";

const ENDED = "The run has ended after 2 events.";
const LIVE = "Live from here. What is below is history.";

/** Counts the requests of a page for the event stream. */
function countStreams({ page }: BrowserPage): () => number {
  let count = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/sse")) count++;
  });
  return () => count;
}

/** Waits until the viewer shows that the run has ended. */
async function waitUntilEnded({ page }: BrowserPage): Promise<void> {
  await page.waitForSelector('#state[data-state="ended"]');
}

testInChromium("The viewer shows a run that ends as ended, and asks no more", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  await tab.page.clock.install();
  const countRequests = countStreams(tab);
  const pipeline = new Pipeline(service.url);
  const [a] = await pipeline.publish({});
  await openViewer(tab, pipeline);
  const [b] = await pipeline.publish({});
  await pipeline.end();
  await waitUntilEnded(tab);
  await tab.page.clock.runFor(120_000);
  equal(await tab.text(".connection .state"), "Ended");
  equal(await tab.text("#state-more"), "The run has ended. No events follow.");
  equal(await tab.page.isHidden("#retry"), true);
  await expectRows(tab, [ENDED, b!, LIVE, a!]);
  equal(countRequests(), 1);
  const times = await pipeline.times();
  equal(await tab.page.getAttribute(`[data-id="${b}"] time`, "dateTime"), times.get(b!));
  match(await tab.text(`[data-id="${b}"]`), / published /);
  deepEqual(tab.errors, []);

  await tab.page.click("#clear");
  await expectText(tab, "#empty", "The run has ended, and nothing of it is listed.");
  await tab.page.click("#send");
  await tab.page.waitForSelector('#sent:has-text("the run of p_a has ended")');
  deepEqual(tab.errors.filter((error) => !FAILED_REQUEST.test(error)), []);
});

testInChromium("The viewer shows a run that has ended, after a reload, too", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const countRequests = countStreams(tab);
  const pipeline = new Pipeline(service.url);
  const ids = await pipeline.publish({}, {});
  await pipeline.end();
  for (let i = 0; i < 2; i++) {
    await tab.page.goto(pipeline.page);
    await waitUntilEnded(tab);
    await expectRows(tab, [ENDED, ...ids.toReversed()]);
    equal(await tab.text("#state-more"), "The run has ended. No events follow.");
    // The history tells it.
    equal(countRequests(), 0);
  }
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.page.emulateMedia({ colorScheme });
    deepEqual(await tab.accessibilityViolations(), []);
  }
  deepEqual(tab.errors, []);
});

testInChromium("The viewer takes the answer 204 for the end of the run", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  await tab.page.route("**/sse", (route) => route.fulfill({ status: 204 }));
  await tab.page.goto(new Pipeline(service.url).page);
  await waitUntilEnded(tab);
  deepEqual(tab.errors, []);
});

testInChromium(
  "The viewer leaves its connection to other tabs when the run has ended",
  async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open();
    const pipeline = new Pipeline(service.url);
    const countHeld = () =>
      tab.page.evaluate<number>(
        `navigator.locks.query().then(({ held }) =>
          held.filter(({ name }) => name.startsWith("runnel-stream")).length)`,
      );
    await openViewer(tab, pipeline);
    equal(await countHeld(), 1);
    await pipeline.end();
    await waitUntilEnded(tab);
    equal(await countHeld(), 0);
  },
);
