import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";
import { openViewer, Pipeline, waitUntilLive } from "./viewer_page.ts";

testInChromium("The viewer announces new events in one sentence every few seconds", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  await tab.page.clock.install();
  const pipeline = new Pipeline(service.url);
  await tab.page.goto(pipeline.page);
  await waitUntilLive(tab);
  // No further than the client waits for a sign of life.
  await tab.page.clock.pauseAt(Date.now() + 5_000);
  await tab.page.evaluate(`
    globalThis.announced = [];
    new MutationObserver(() => announced.push(announcement.textContent)).observe(announcement, { childList: true });
  `);
  for (let i = 0; i < 12; i++) {
    await pipeline.publish({});
    await tab.page.clock.runFor(100);
  }
  await eventually("all events arrive", async () => {
    await tab.page.clock.runFor(10);
    return (await tab.text("#count")) === "12 events.";
  });
  await tab.page.clock.runFor(15_000);
  const announced = await tab.page.evaluate<string[]>("announced");
  // An interval may have ended between two of the events.
  ok(announced.length <= 2, announced.join());
  equal(announced.reduce((sum, words) => sum + parseInt(words), 0), 12);
  deepEqual(tab.errors, []);
});

testInChromium("The viewer is accessible, in light, dark, wide and narrow", async () => {
  await using service = await startLocalService();
  const pipeline = new Pipeline(service.url);
  await pipeline.publish(
    { payload: { name: "Luke", age: 19, jedi: true } },
    { channel: "a channel with a name that is so long that it has to be broken somewhere" },
    { payload: "x".repeat(500) },
  );
  const gap = 'event: runnel.gap\ndata: {"missed":7,"reason":"evicted"}\n\n';
  const event = 'id: a-9\nevent: orders\ndata: {"n":1}\n\n';
  const body = `retry: 30000\n\n${gap}event: runnel.live\ndata: {"replayed":0}\n\n${event}`;
  await using tab = await BrowserPage.open();
  await tab.page.route(
    "**/sse",
    (route) => route.fulfill({ contentType: "text/event-stream", body }),
  );
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.page.emulateMedia({ colorScheme });
    for (const width of [1280, 360]) {
      await tab.page.setViewportSize({ width, height: 740 });
      await tab.page.goto(pipeline.page);
      await tab.page.waitForSelector('#state[data-state="waiting"]');
      await tab.page.click("#pause");
      deepEqual(await tab.accessibilityViolations(), []);
      equal(await tab.page.evaluate("document.documentElement.scrollWidth"), width);
    }
    deepEqual(tab.errors, []);
  }
});

testInChromium("The viewer works by keyboard alone, and shows the focus", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  const [id] = await pipeline.publish({});
  await openViewer(tab, pipeline);
  await tab.page.waitForSelector(".row");
  const stops: string[] = [];
  for (let i = 0; i < 30 && stops.at(-1) !== `Copy event ${id}`; i++) {
    await tab.page.keyboard.press("Tab");
    const [name, outline] = await tab.page.evaluate<[string, string]>(`[
      document.activeElement.ariaLabel ?? (document.activeElement.id || document.activeElement.textContent),
      getComputedStyle(document.activeElement).outlineStyle,
    ]`);
    equal(outline, "solid", name);
    stops.push(name);
  }
  const last = stops.slice(stops.indexOf("text"));
  deepEqual(last, ["text", "pause", "clear", "download", "All", "orders 1", `Copy event ${id}`]);
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector("text=Copied");
  equal(JSON.parse(await tab.clipboard()).id, id);
});
