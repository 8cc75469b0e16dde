import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { launchChromium, testInChromium } from "../../support/browser/chromium.ts";
import { accessibilityViolations, openWatchedPage } from "../../support/browser/watched_page.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";
import { copyExample } from "./example_files.ts";

testInChromium(
  "several_channels.html distinguishes history from live events, and shows its state",
  async () => {
    await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
    await using folder = new TempFolder();
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const { page, complaints } = await openWatchedPage(browser);
    for (const channel of ["orders", "payments", "other"]) {
      await service.publish("p_demo", channel, 1);
    }
    await page.goto(`file://${await copyExample(folder, "several_channels.html", service.url)}`);
    const shows = (state: string) =>
      eventually(state, async () => await page.innerText("#state") === state);
    const items = (kind: string) => page.locator(`li.${kind}`).allInnerTexts();
    await shows("live");
    await service.publish("p_demo", "shipments", { carrier: "<i>" });
    await eventually("the live event is shown", async () => (await items("live")).length === 1);
    deepEqual(await items("live"), ['shipments: {"carrier":"<i>"}']);
    deepEqual(await items("history"), ["payments: 1", "orders: 1"]);
    deepEqual(await accessibilityViolations(page), []);
    deepEqual(complaints, []);

    // The server is stopped, and another one is started in its place.
    await service.cut(async () => {
      await shows("reconnecting");
      await service.publish("p_demo", "orders", 2);
    });
    await shows("live");
    deepEqual(await items("live"), ["orders: 2", 'shipments: {"carrier":"<i>"}']);
  },
);
