import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { DataFolder, Program } from "../../support/programs/program.ts";
import { eventually } from "../../support/wait.ts";
import {
  expectRows,
  FAILED_REQUEST,
  openViewer,
  Pipeline,
  readRows,
  waitUntilLive,
} from "./viewer_page.ts";

testInChromium("The viewer reconnects after a restart and misses nothing", async () => {
  await using folder = new DataFolder();
  const settings = { RUNNEL_KV: folder.kv, RUNNEL_RETRY_MS: "100" };
  await using tab = await BrowserPage.open();
  const first = await Program.start(settings);
  const pipeline = new Pipeline(first.url);
  const ids = await pipeline.publish({}, {});
  await openViewer(tab, pipeline);
  ids.push(...await pipeline.publish({}));
  await first[Symbol.asyncDispose]();
  await tab.page.waitForSelector('#state[data-state="waiting"]');
  match(await tab.text(".connection"), /Disconnected Trying again in \d+ s\. Try now/);
  await using _second = await Program.start({ ...settings, PORT: new URL(first.url).port });
  // The page may reconnect before or after this publish: both must end the same.
  const missed = await pipeline.publish({}, {});
  await waitUntilLive(tab);
  ids.push(...missed, ...await pipeline.publish({}));
  await eventually("all events are shown", async () => {
    const seen = (await readRows(tab)).filter((row) => ids.includes(row));
    return seen.length >= ids.length;
  });
  const seen = (await readRows(tab)).filter((row) => ids.includes(row));
  deepEqual(seen, ids.toReversed());
  equal((await tab.texts("dd"))[0], "1");
  ok((await readRows(tab)).some((row) => row.startsWith("Reconnected.")));
  deepEqual(tab.errors.filter((error) => !FAILED_REQUEST.test(error)), []);
});

testInChromium("The viewer shows gaps", async () => {
  await using service = await Program.start({ RUNNEL_KV: ":memory:" });
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  const [a] = await pipeline.publish({});
  // The history is cleared before the stream that resumes after it is opened.
  let b: string | undefined;
  await tab.page.route("**/sse", async (route) => {
    await pipeline.publish({}, {});
    await pipeline.clear();
    [b] = await pipeline.publish({});
    await route.continue();
  }, { times: 1 });
  await openViewer(tab, pipeline);
  await expectRows(tab, [
    "Live from here. What is below is history.",
    b!,
    "2 events are missing here: the history was cleared.",
    a!,
  ]);
  const gaps = [{ missed: 7, reason: "evicted" }, { missed: null, reason: "unknown" }];
  const notices = gaps.map((gap) => `event: runnel.gap\ndata: ${JSON.stringify(gap)}\n\n`);
  const body = `retry: 30000\n\n${notices.join("")}`;
  await tab.page.route(
    "**/sse",
    (route) => route.fulfill({ contentType: "text/event-stream", body }),
    { times: 1 },
  );
  await tab.page.goto(pipeline.page);
  await tab.page.waitForSelector('#state[data-state="waiting"]');
  await tab.page.click("text=Try now");
  await waitUntilLive(tab);
  await expectRows(tab, [
    "Reconnected. Nothing was missed.",
    "Events may be missing here: the log does not know the last event ID. Its history follows.",
    "7 events are missing here: the log keeps only the newest.",
    b!,
  ]);
  deepEqual(tab.errors, []);
});
