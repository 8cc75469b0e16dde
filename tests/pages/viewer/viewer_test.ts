import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";
import {
  expectRows,
  expectText,
  FAILED_REQUEST,
  openViewer,
  Pipeline,
  readRows,
} from "./viewer_page.ts";

testInChromium(
  "The viewer shows history, then live events, without a hole or a duplicate",
  async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open();
    const pipeline = new Pipeline(service.url);
    const [a, b] = await pipeline.publish({ payload: { n: [1, 2] } }, { channel: "payments" });
    // Events between the two answers are in neither, unless the stream resumes after the history.
    let between: string[] = [];
    await tab.page.route("**/sse", async (route) => {
      between = await pipeline.publish({}, {});
      await route.continue();
    });
    await openViewer(tab, pipeline);
    const notice = "Live from here. What is below is history.";
    const history = [...between.toReversed(), b!, a!];
    await expectRows(tab, [notice, ...history]);
    const [live] = await pipeline.publish({ payload: "Hello there" });
    await expectRows(tab, [live!, notice, ...history]);

    equal((await tab.texts("#rows .tag")).join(), "history,history,history,history");
    const published = await pipeline.times();
    await eventually("the history has the times of the log", async () => {
      const shown = await tab.page.evaluate<string[]>(
        `[...document.querySelectorAll("#rows .is-history time")].map(({ dateTime }) => dateTime)`,
      );
      return shown.join() === history.map((id) => published.get(id)).join();
    });
    equal(await tab.text(`[data-id="${a}"] pre`), '{ "n": [1, 2] }');
    equal(await tab.text(`[data-id="${live}"] pre`), '"Hello there"');
    const times = /^orders (\d\d:){2}\d\d\.\d{3} (arrived|published) /;
    match(await tab.text(`[data-id="${live}"]`), times);
    match(await tab.text(`[data-id="${a}"]`), /^orders (\d\d:){2}\d\d\.\d{3} published /);
    deepEqual(await tab.texts(".chip"), ["All", "orders 4", "payments 1"]);
    deepEqual(await tab.texts("dd"), ["0", "just now", live!]);
    equal(await tab.text("#state"), "Live");
    equal(await tab.page.title(), "p_a · Runnel");
    await eventually(
      "a live event has the time of the log, too",
      async () =>
        times.exec(await tab.text(`[data-id="${live}"]`))![2] === "published" &&
        await tab.page.getAttribute(`[data-id="${live}"] time`, "dateTime") ===
          (await pipeline.times()).get(live!),
    );
    deepEqual(tab.errors, []);
  },
);

testInChromium("The viewer's stream goes on from an empty history", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  // More than a stream without a position would begin with.
  await tab.page.route("**/sse", async (route) => {
    await pipeline.publish(...Array.from({ length: 150 }, () => ({})));
    await route.continue();
  });
  await openViewer(tab, pipeline);
  await expectText(tab, "#count", "150 events.");
  deepEqual(tab.errors, []);
});

testInChromium("The viewer filters by channels and by text", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  const [a, b, c] = await pipeline.publish(
    { channel: "orders", payload: "Luke" },
    { channel: "payments", payload: "luke" },
    { channel: "shipments", payload: "Leia" },
  );
  await openViewer(tab, pipeline);
  const notice = "Live from here. What is below is history.";
  await expectRows(tab, [notice, c!, b!, a!]);
  await tab.page.click('[data-channel="orders"]');
  await tab.page.click('[data-channel="shipments"]');
  await expectText(tab, "#count", "2 of 3 events match.");
  deepEqual(await readRows(tab), [notice, c, a]);
  await tab.page.fill("#text", "luke");
  await expectText(tab, "#count", "1 of 3 events match.");
  deepEqual(await readRows(tab), [notice, a]);
  const [d] = await pipeline.publish({ payload: "LUKE" }, { channel: "payments", payload: "Luke" });
  await expectRows(tab, [d!, notice, a!]);
  await tab.page.click("text=All");
  await expectText(tab, "#count", "4 of 5 events match.");
  await tab.page.fill("#text", "nobody");
  await expectText(tab, "#empty", "No event matches the filter.");
  deepEqual(tab.errors, []);
});

testInChromium("The viewer keeps events during a pause, and clears", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  const notice = "Live from here.";
  await openViewer(tab, pipeline);
  await expectText(
    tab,
    "#empty",
    "No events yet. Send one with the form on this page, or from your own program.",
  );
  const [a] = await pipeline.publish({});
  await expectRows(tab, [a!, notice]);
  await tab.page.click("#pause");
  const [b, c] = await pipeline.publish({}, {});
  await expectText(tab, "#waiting", "Paused. 2 new events wait.");
  deepEqual(await readRows(tab), [a, notice]);
  await tab.page.click("#clear");
  await expectText(tab, "#waiting", "Paused. 2 new events wait.");
  await tab.page.click("text=Resume");
  await expectRows(tab, [c!, b!]);
  await tab.page.click("#clear");
  await expectRows(tab, []);
  deepEqual(tab.errors, []);
});

testInChromium("The viewer copies an event, and downloads the events that match", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  const long = { lines: Array.from({ length: 40 }, (_, n) => `${n} ${"x".repeat(20)}`) };
  const [a, b] = await pipeline.publish({ payload: long }, { channel: "payments" });
  const exact = "12345678901234567890";
  await openViewer(tab, pipeline);
  await tab.page.fill("#send-payload", `[${exact}]`);
  await tab.page.click("#send");
  await eventually("the event is shown", async () => (await readRows(tab)).length === 4);
  const [c] = await readRows(tab);
  equal(await tab.text(`[data-id="${c}"] pre`), `[${exact}]`);

  await tab.page.click(`[data-id="${c}"] [data-action=copy]`);
  await tab.page.waitForSelector("text=Copied");
  const copied = await tab.clipboard();
  // It was live, so that at first only the time of its arrival is known.
  const { arrived, time, ...others } = JSON.parse(copied);
  ok(arrived || time === (await pipeline.times()).get(c!));
  deepEqual(others, { id: c, channel: "events", payload: [Number(exact)] });
  ok(copied.includes(exact));
  // As in a page that was not loaded over HTTPS.
  await tab.page.evaluate(
    `Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true })`,
  );
  await tab.page.click(`[data-id="${b}"] [data-action=copy]`);
  await tab.page.waitForSelector(`[data-id="${b}"] :text("Copied")`);
  await tab.page.evaluate("delete navigator.clipboard");
  equal(JSON.parse(await tab.clipboard()).id, b);

  ok(!(await tab.text(`[data-id="${a}"] pre`)).includes("39 x"));
  await tab.page.click(`[data-id="${a}"] [data-action=all]`);
  deepEqual(JSON.parse(await tab.text(`[data-id="${a}"] pre`)), long);

  await tab.page.click('[data-channel="payments"]');
  await tab.page.click('[data-channel="events"]');
  await expectText(tab, "#count", "2 of 3 events match.");
  const downloading = tab.page.waitForEvent("download");
  await tab.page.click("#download");
  const download = await downloading;
  equal(download.suggestedFilename(), "p_a.ndjson");
  const text = await Deno.readTextFile(await download.path());
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  deepEqual(lines.map(({ id, channel }) => [id, channel]), [[b, "payments"], [c, "events"]]);
  equal(lines[0].time, (await pipeline.times()).get(b!));
  ok(lines[1].arrived || lines[1].time === (await pipeline.times()).get(c!));
  ok(text.endsWith(`"payload":[${exact}]}\n`));
  deepEqual(tab.errors, []);
});

testInChromium("The viewer sends a test event, and explains why one was not sent", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  await openViewer(tab, pipeline);
  await tab.page.fill("#send-payload", "{");
  await tab.page.click("#send");
  await expectText(
    tab,
    "#sent",
    "Not sent: the payload is not JSON. Put a plain text in double quotes.",
  );
  await tab.page.fill("#send-payload", '{"a": 1.0}');
  await tab.page.fill("#send-channel", "runnel.x");
  await tab.page.click("#send");
  await eventually(
    "the refusal is shown",
    async () => /Not sent:.*runnel/.test(await tab.text("#sent")),
  );
  await tab.page.fill("#send-channel", "tests");
  await tab.page.click("#send");
  await tab.page.waitForSelector(".row");
  const [id] = await readRows(tab);
  await expectText(tab, "#sent", `Sent as ${id}.`);
  equal(await tab.text(".row pre"), '{ "a": 1.0 }');
  deepEqual(tab.errors.filter((error) => !FAILED_REQUEST.test(error)), []);
});

testInChromium("The viewer stays responsive in a burst of 5,000 events in a second", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  await openViewer(tab, pipeline);
  await tab.page.evaluate(`
    globalThis.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
    }).observe({ entryTypes: ["longtask"] });
    globalThis.most = 0;
    globalThis.draws = 0;
    new MutationObserver((records) => {
      most = Math.max(most, rows.children.length);
      draws += records.filter(({ addedNodes }) => addedNodes.length > 0).length;
    }).observe(rows, { childList: true });
  `);
  const payload = { order: 1001, customer: "Luke", item: "lightsaber", total: 128.4 };
  for (let i = 0; i < 50; i++) {
    const channel = `channel ${i % 8}`;
    await pipeline.publish(...Array.from({ length: 100 }, () => ({ channel, payload })));
  }
  const [last] = await pipeline.publish({ channel: "last" });
  await tab.page.waitForSelector(`[data-id="${last}"]`);
  await expectText(tab, "#count", "5,001 events; the newest 200 are listed.");
  const [longest, most, draws] = await tab.page.evaluate<[number, number, number]>(
    "[longest, most, draws]",
  );
  ok(longest < 400, `a task took ${longest} ms`);
  ok(most <= 400, `${most} rows`);
  ok(draws <= 500, `${draws} changes`);
  equal((await readRows(tab)).length, 200);
  await tab.page.fill("#text", "nobody");
  await expectText(tab, "#empty", "No event matches the filter.");
  await eventually("the chart has a text", async () => {
    const words = await tab.page.getAttribute(".chart", "aria-label") ?? "";
    return /^Events per second over the last 5 minutes: now [\d,.]+, at most [1-9][\d,]+\.$/.test(
      words,
    );
  });
  ok(await tab.page.locator(".chart rect").count() >= 8);
  deepEqual(tab.errors, []);
});
