import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";
import { openViewer, Pipeline, readRows } from "./viewer_page.ts";

/** Longest time for which the page may not respond, in milliseconds, on a busy machine. */
const MAX_TASK_MS = 2000;

/** Watches for tasks during which the page does not respond. */
const WATCH_TASKS = `
  longTasks = [0];
  new PerformanceObserver((list) => {
    longTasks.push(...list.getEntries().map(({ duration }) => duration));
  }).observe({ type: "longtask", buffered: true });
`;

/** Creates a payload of 60 KiB that has most of its values at a depth. */
function nested(depth: number): unknown {
  let value: unknown = Array(Math.floor((60 * 1024 - 2 * depth) / 2)).fill(1);
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}

for (const depth of [1, 40, 500]) {
  testInChromium(`The viewer responds while 100 payloads of ${depth} levels arrive`, async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open();
    await tab.page.addInitScript(WATCH_TASKS);
    const longestTask = () => tab.page.evaluate<number>("Math.max(...longTasks.splice(1), 0)");
    const pipeline = new Pipeline(service.url);
    const payload = nested(depth);
    await openViewer(tab, pipeline);
    for (let count = 0; count < 100; count++) await pipeline.publish({ payload });
    await eventually("all are shown", async () => (await readRows(tab)).length > 100);
    const live = await longestTask();
    ok(live < MAX_TASK_MS, `live: ${live}`);

    await openViewer(tab, pipeline);
    await eventually("all are shown again", async () => (await readRows(tab)).length > 100);
    const loaded = await longestTask();
    ok(loaded < MAX_TASK_MS, `loaded: ${loaded}`);

    const [, id] = await readRows(tab);
    const text = await tab.page.textContent(`[data-id="${id}"] pre`);
    ok(text!.length < 16_000, `${text!.length}`);
    await tab.page.click(`[data-id="${id}"] [data-action=all]`);
    deepEqual(JSON.parse((await tab.page.textContent(`[data-id="${id}"] pre`))!), payload);
    await tab.page.click(`[data-id="${id}"] [data-action=copy]`);
    await tab.page.waitForSelector("text=Copied");
    deepEqual(JSON.parse(await tab.clipboard()).payload, payload);
    const whole = await longestTask();
    ok(whole < MAX_TASK_MS, `whole: ${whole}`);
    deepEqual(tab.errors, []);
  });
}

testInChromium("The viewer counts the first 10,000 channels", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  await tab.page.addInitScript(WATCH_TASKS);
  const pipeline = new Pipeline(service.url);
  await openViewer(tab, pipeline);
  for (let batch = 0; batch < 11; batch++) {
    const names = Array.from({ length: 1000 }, (_, index) => `c${batch * 1000 + index}`);
    await pipeline.publish(...names.map((channel) => ({ channel })));
  }
  const more = "and at least 9,976 more";
  await eventually("all are counted", async () => (await tab.text("#chips")).endsWith(more));
  equal((await tab.texts(".chip")).length, 25);
  deepEqual(tab.errors, []);
});
