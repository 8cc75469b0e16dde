import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { testInChromium } from "../../support/browser/chromium.ts";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { accessibilityViolations, openWatchedPage } from "../../support/browser/watched_page.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";
import { copyExample } from "./example_files.ts";

testInChromium("several_pipelines.html shows two pipelines, on one stream", async () => {
  await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
  await using folder = new TempFolder();
  await using stack = new AsyncDisposableStack();
  const { page, complaints } = await openWatchedPage(sharedChromium());
  stack.defer(() => page.close());
  const streams: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/sse")) streams.push(request.url());
  });
  const shows = async (state: string, position: number, ...orders: string[]) => {
    const expected = [state, position, ...orders];
    let shown: unknown[] = [];
    await eventually(`the page shows ${expected}`, async () => {
      shown = await page.evaluate<unknown[]>(
        `[state.textContent, bar.position,
          ...[...orders.children].map(({ textContent }) => textContent)]`,
      );
      return shown.join() === expected.join();
    }).catch(() => {});
    deepEqual(shown, expected);
  };

  await service.publish("p_demo", "orders", { order: 1, item: "<i>" });
  // Not of the pipeline, and not of the page.
  await service.publish("p_demo", "progress", { done: 9, total: 9 });
  await service.publish("p_demo", "payments", 7);
  await page.goto(`file://${await copyExample(folder, "several_pipelines.html", service.url)}`);
  await shows("live", -1, '{"order":1,"item":"<i>"}');
  await service.publish("p_job", "progress", { done: 1, total: 4 });
  await service.publish("p_demo", "orders", 2);
  await shows("live", 0.25, "2", '{"order":1,"item":"<i>"}');
  equal(streams.length, 1);
  equal(service.stats.subscribers, 1);
  deepEqual(await accessibilityViolations(page), []);
  deepEqual(complaints, []);

  await service.cut(async () => {
    await eventually("it is cut", async () => await page.innerText("#state") !== "live");
    await service.publish("p_job", "progress", { done: 3, total: 4 });
    await service.publish("p_demo", "orders", 3);
  });
  await shows("live", 0.75, "3", "2", '{"order":1,"item":"<i>"}');
});
