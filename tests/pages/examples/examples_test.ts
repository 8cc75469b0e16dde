import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { launchChromium, testInChromium } from "../../support/chromium.ts";
import { eventually } from "../../support/eventually.ts";
import { ServedService } from "../../support/served_service.ts";
import { TempFolder } from "../../support/temp_folder.ts";
import { accessibilityViolations, watchedPage } from "../../support/watched_page.ts";

const SAMPLES = new URL("../../../lib/pages/examples/", import.meta.url);
const ADDRESS = "http://localhost:8000";

/** A sample as a file of its own on the disk, with the address of the test's service. */
async function onDisk(folder: TempFolder, name: string, address: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(name, SAMPLES));
  equal(text.split(ADDRESS).length, 2);
  return `file://${await folder.write(name, text.replace(ADDRESS, address))}`;
}

Deno.test("the sample index.html is the README's page", async () => {
  const readme = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));
  const [, page] = /^```html\n(.*?)^```/ms.exec(readme)!;
  equal(await Deno.readTextFile(new URL("index.html", SAMPLES)), page);
});

testInChromium("the sample index.html receives events from disk", async () => {
  await using service = await ServedService.start();
  await using folder = new TempFolder();
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  const { page, complaints } = await watchedPage(browser);
  const said = page.waitForEvent("console");
  await page.goto(await onDisk(folder, "index.html", service.url));
  await service.publish("p_aBcDeF", "events", { name: "Luke Skywalker" });
  equal((await said).text(), 'New event from the event stream:  {"name":"Luke Skywalker"}');
  deepEqual(complaints, []);
});

testInChromium(
  "the sample several_channels.html tells history from news, and its state",
  async () => {
    await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
    await using folder = new TempFolder();
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const { page, complaints } = await watchedPage(browser);
    for (const channel of ["orders", "payments", "other"]) {
      await service.publish(
        "p_demo",
        channel,
        1,
      );
    }
    await page.goto(await onDisk(folder, "several_channels.html", service.url));
    const shows = (state: string) =>
      eventually(state, async () => await page.innerText("#state") === state);
    const items = (kind: string) => page.locator(`li.${kind}`).allInnerTexts();
    await shows("live");
    await service.publish("p_demo", "shipments", { carrier: "<i>" });
    await eventually("news", async () => (await items("news")).length === 1);
    deepEqual(await items("news"), ['shipments: {"carrier":"<i>"}']);
    deepEqual(await items("history"), ["payments: 1", "orders: 1"]);
    deepEqual(await accessibilityViolations(page), []);
    deepEqual(complaints, []);

    // Through the end of the server, and another one in its place.
    await service.cut(async () => {
      await shows("connecting again");
      await service.publish("p_demo", "orders", 2);
    });
    await shows("live");
    deepEqual(await items("news"), ["orders: 2", 'shipments: {"carrier":"<i>"}']);
  },
);
