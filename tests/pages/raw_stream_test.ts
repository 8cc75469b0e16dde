import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { launchChromium, testInChromium } from "../support/browser/chromium.ts";
import { openWatchedPage } from "../support/browser/watched_page.ts";
import { ServedService } from "../support/servers/served_service.ts";
import { eventually } from "../support/wait.ts";

testInChromium(
  "A stream that is opened as a page shows each event as soon as it arrives",
  async () => {
    await using service = await ServedService.start();
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const { page, complaints } = await openWatchedPage(browser);
    await service.publish("p_a", "events", { name: "Luke <b>Skywalker</b> ✓" });
    await page.goto(`${service.url}/pipelines/p_a/sse`, { waitUntil: "commit" });
    const shown = () => page.evaluate<string>("document.body?.innerText ?? ''");
    await eventually("the history is shown", async () => (await shown()).includes("runnel.live"));
    match(await shown(), /^data: \{"name":"Luke <b>Skywalker<\/b> ✓"\}$/m);
    const id = await service.publish("p_a", "events", 1);
    await eventually("the event is shown", async () => {
      // Chromium shows a chunk that follows another one closely together with the next.
      await service.publish("p_a", "events", 2);
      return (await shown()).includes(`\n\nevent: events\ndata: 1\nid: ${id}\n\n`);
    });
    equal(await page.evaluate("document.contentType"), "text/plain");
    deepEqual(complaints.filter((complaint) => !complaint.includes("404")), []);
  },
);
