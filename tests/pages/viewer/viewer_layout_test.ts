import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";
import { expectText, openViewer, Pipeline } from "./viewer_page.ts";

/** Whether the user sees both ends of an element: nothing covers or clips it. */
async function isVisible(tab: BrowserPage, selector: string): Promise<boolean> {
  return await tab.page.evaluate<boolean>(`(() => {
    const element = document.querySelector(${JSON.stringify(selector)});
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const sees = (x, y) => element.contains(document.elementFromPoint(x, y));
    const x = (left + right) / 2;
    return bottom > top && sees(x, top + 1) && sees(x, bottom - 1);
  })()`);
}

testInChromium(
  "The viewer shows the answer to a test event in a window of 1280 × 800",
  async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open({ viewport: { width: 1280, height: 800 } });
    await openViewer(tab, new Pipeline(service.url));
    await tab.page.click("#send");
    await tab.page.waitForSelector("#sent:text('Sent as')");
    ok(await isVisible(tab, "#sent"));
    await tab.page.fill("#send-payload", "{");
    await tab.page.click("#send");
    await tab.page.waitForSelector("#sent:text('not JSON')");
    ok(await isVisible(tab, "#sent"));
    await tab.page.fill("#send-payload", "1");
    await tab.page.fill("#send-channel", "error");
    await tab.page.click("#send");
    await tab.page.waitForSelector("#sent:text('error')");
    ok(await isVisible(tab, "#sent"));
    await tab.page.fill("#send-channel", "events");
    await tab.page.route("**/ingest", (route) => route.abort());
    await tab.page.click("#send");
    await expectText(tab, "#sent", "Not sent: the service does not answer.");
    ok(await isVisible(tab, "#sent"));
    // A window that is too low for the whole form.
    await tab.page.setViewportSize({ width: 1280, height: 420 });
    await tab.page.unroute("**/ingest");
    await tab.page.click("#send");
    await tab.page.waitForSelector("#sent:text('Sent as')");
    await eventually("the answer is visible", () => isVisible(tab, "#sent"));
  },
);

testInChromium(
  "The viewer shows events first on a phone, after the state of the connection",
  async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open({ viewport: { width: 360, height: 740 } });
    const pipeline = new Pipeline(service.url);
    const channels = Array.from({ length: 30 }, (_, i) => ({ channel: `channel ${i}` }));
    await pipeline.publish(...channels);
    await openViewer(tab, pipeline);
    await tab.page.waitForSelector(".row");
    const [state, row, send, chart] = await tab.page.evaluate<number[]>(
      `["#state", "#rows > li", "#send-details", "#chart"].map((selector) =>
      document.querySelector(selector).getBoundingClientRect().top)`,
    );
    ok(
      state! < row! && row! < 500 && row! < send! && send! < chart!,
      `${[state, row, send, chart]}`,
    );
    equal(await tab.page.evaluate("document.documentElement.scrollWidth"), 360);
    // What follows the events is one step away.
    await tab.page.click(".jump");
    await eventually("the form is visible", () => isVisible(tab, "#send-title"));
  },
);

testInChromium(
  "The viewer has a color for each channel that is readable in light and dark",
  async () => {
    await using service = await startLocalService();
    for (const colorScheme of ["light", "dark"] as const) {
      await using tab = await BrowserPage.open({ colorScheme });
      await openViewer(tab, new Pipeline(service.url));
      const contrasts = await tab.page.evaluate<number[]>(`(() => {
      const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const luminance = (color) => {
        context.fillStyle = color;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
          const part = value / 255;
          return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = luminance(getComputedStyle(document.querySelector(".card")).backgroundColor);
      return Array.from({ length: 24 }, (_, color) => {
        const swatch = document.createElement("span");
        swatch.className = "swatch series-" + color;
        document.body.append(swatch);
        const own = luminance(getComputedStyle(swatch).backgroundColor);
        return (Math.max(own, behind) + 0.05) / (Math.min(own, behind) + 0.05);
      });
    })()`);
      equal(contrasts.length, 24);
      ok(
        Math.min(...contrasts) >= 3,
        `${colorScheme}: ${contrasts.map((each) => each.toFixed(1))}`,
      );
      ok(new Set(contrasts).size > 12);
    }
  },
);

testInChromium("The viewer's chart has a scale and a legend of channels", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  const pipeline = new Pipeline(service.url);
  await openViewer(tab, pipeline);
  await pipeline.publish(...Array.from({ length: 60 }, () => ({ channel: "orders" })));
  await pipeline.publish({ channel: "payments" });
  await eventually("the legend names both channels", async () => {
    return (await tab.texts("#legend li")).join() === "orders,payments";
  });
  const [top, half, zero] = (await tab.texts(".chart-scale span")).map(Number);
  // Within one interval of 5 seconds, or in two.
  ok([10, 20].includes(top!), String(top));
  deepEqual([half, zero], [top! / 2, 0]);
  const colors = await tab.page.evaluate<string[]>(
    `[...document.querySelectorAll("#legend .swatch, .chip .swatch")].map(({ className }) => className)`,
  );
  equal(new Set(colors).size, 2);
});
