import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { launchChromium, testInChromium } from "../../support/browser/chromium.ts";
import { openWatchedPage } from "../../support/browser/watched_page.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { copyExample, readExample } from "./example_files.ts";

Deno.test("index.html is the page of the README", async () => {
  const readme = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));
  const [, page] = /^```html\n(.*?)^```/ms.exec(readme)!;
  equal(await readExample("index.html"), page);
});

testInChromium("index.html receives events when it is opened from disk", async () => {
  await using service = await ServedService.start();
  await using folder = new TempFolder();
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  const { page, complaints } = await openWatchedPage(browser);
  const logged = page.waitForEvent("console");
  await page.goto(`file://${await copyExample(folder, "index.html", service.url)}`);
  await service.publish("p_aBcDeF", "events", { name: "Luke Skywalker" });
  equal((await logged).text(), 'New event from the event stream:  {"name":"Luke Skywalker"}');
  deepEqual(complaints, []);
});
