import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { testInChromium } from "../../support/browser/chromium.ts";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { accessibilityViolations } from "../../support/browser/watched_page.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { DataFolder, Program } from "../../support/programs/program.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";

/** The tabs of one browser, which share its connections. */
class Tabs implements AsyncDisposable {
  readonly #url: string;
  readonly #context: BrowserContext;

  private constructor(url: string, context: BrowserContext) {
    this.#url = url;
    this.#context = context;
  }

  static async open(url: string): Promise<Tabs> {
    return new Tabs(url, await sharedChromium().newContext());
  }

  /** Opens the live page of a pipeline. */
  async openViewer(pipeline: string): Promise<Page> {
    const page = await this.#context.newPage();
    await page.goto(`${this.#url}/pipelines/${pipeline}`);
    return page;
  }

  /** Opens the live page of a pipeline, and enters a token. */
  async openWithToken(pipeline: string, token: string): Promise<Page> {
    const page = await this.openViewer(pipeline);
    await page.fill("#token-input", token);
    await page.click("text=Use this token");
    return page;
  }

  /** Opens the start page. */
  async openStart(): Promise<Page> {
    const page = await this.#context.newPage();
    await page.goto(this.#url);
    return page;
  }

  /** Takes shared workers from the browser, which some do not have. */
  async removeSharedWorkers(): Promise<void> {
    await this.#context.addInitScript("delete globalThis.SharedWorker");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }
}

async function waitUntil(state: string, ...pages: readonly Page[]): Promise<void> {
  for (const page of pages) await page.waitForSelector(`#state[data-state="${state}"]`);
}

/** Payloads in a live page, oldest first. */
async function payloadsOf(page: Page): Promise<string[]> {
  return (await page.locator("#rows pre").allInnerTexts()).reverse();
}

/** Waits for the payloads of a live page, and asserts that there are no others. */
async function expectPayloads(page: Page, payloads: readonly string[]): Promise<void> {
  await eventually("all payloads", async () => (await payloadsOf(page)).length >= payloads.length)
    .catch(() => {});
  deepEqual(await payloadsOf(page), payloads);
}

/** Publishes an event, as an operator who may do that. */
async function publish(url: string, pipeline: string, payload: number): Promise<void> {
  const response = await fetch(`${url}/ingest/${pipeline}/orders`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...bearerHeader(PUBLISH_TOKEN) },
    body: `${payload}`,
  });
  await response.body?.cancel();
  equal(response.status, 202);
}

/** Waits until the tabs have as many streams. */
async function untilStreams(service: ServedService, count: number): Promise<void> {
  await eventually(`${count} streams`, () => service.stats.subscribers === count);
}

testInChromium("Ten tabs of five pipelines share one stream over HTTP/1.1", async () => {
  await using service = await ServedService.start();
  await using tabs = await Tabs.open(service.url);
  const pipelines = ["p_a", "p_b", "p_c", "p_d", "p_e"];
  const expected = new Map<string, string[]>();
  const publish = async (value: string) => {
    for (const pipeline of pipelines) {
      const payload = `${pipeline} ${value}`;
      await service.publish(pipeline, "orders", payload);
      expected.set(pipeline, [...expected.get(pipeline) ?? [], `"${payload}"`]);
    }
  };
  await publish("before");
  // All at once, as a browser does that restores its tabs.
  const opened = await Promise.all(
    [...pipelines, ...pipelines].map(async (pipeline) => ({
      pipeline,
      page: await tabs.openViewer(pipeline),
    })),
  );
  await waitUntil("live", ...opened.map(({ page }) => page));
  await untilStreams(service, 1);
  for (const value of ["first", "second", "third"]) await publish(value);
  for (const { page, pipeline } of opened) await expectPayloads(page, expected.get(pipeline)!);

  // The other connections are free: for the start page, and for more than six tabs with it.
  const start = await tabs.openStart();
  await start.click("text=Send a first event");
  await start.waitForSelector(".arrivals .row");
  await untilStreams(service, 1);
  await publish("with the start page");
  for (const { page, pipeline } of opened) await expectPayloads(page, expected.get(pipeline)!);
  for (const { page } of opened) equal(await page.innerText(".state-more"), "");
  for (const colorScheme of ["light", "dark"] as const) {
    await opened[0]!.page.emulateMedia({ colorScheme });
    deepEqual(await accessibilityViolations(opened[0]!.page), []);
  }
});

testInChromium("Nine tabs of one pipeline are complete when others close and reload", async () => {
  await using service = await ServedService.start();
  await using tabs = await Tabs.open(service.url);
  const pages: Page[] = [];
  for (let i = 0; i < 9; i++) pages.push(await tabs.openViewer("p_a"));
  await waitUntil("live", ...pages);
  await untilStreams(service, 1);
  await service.publish("p_a", "orders", 1);
  for (const page of pages) await expectPayloads(page, ["1"]);

  const [first, second, third, ...others] = pages as [Page, Page, Page, ...Page[]];
  await first.close();
  await service.publish("p_a", "orders", 2);
  await Promise.all([second.close(), third.reload(), service.publish("p_a", "orders", 3)]);
  const left = [third, ...others];
  await service.publish("p_a", "orders", 4);
  for (const page of left) await expectPayloads(page, ["1", "2", "3", "4"]);
  await untilStreams(service, 1);

  const last = left.pop()!;
  await Promise.all(left.map((page) => page.close()));
  await service.publish("p_a", "orders", 5);
  await expectPayloads(last, ["1", "2", "3", "4", "5"]);
  await last.close();
  await untilStreams(service, 0);
});

testInChromium("Ten tabs are complete after a restart of the service", async () => {
  await using folder = new DataFolder();
  const settings = { RUNNEL_KV: folder.kv, RUNNEL_RETRY_MS: "100" };
  const first = await Program.start(settings);
  await using tabs = await Tabs.open(first.url);
  const opened: [string, Page][] = [];
  for (let i = 0; i < 10; i++) {
    const pipeline = `p_${i % 3}`;
    opened.push([pipeline, await tabs.openViewer(pipeline)]);
  }
  const pages = opened.map(([, page]) => page);
  await waitUntil("live", ...pages);
  const publishToAll = async (payload: number) => {
    for (const pipeline of ["p_0", "p_1", "p_2"]) await publish(first.url, pipeline, payload);
  };
  await publishToAll(1);
  for (const page of pages) await expectPayloads(page, ["1"]);
  await first[Symbol.asyncDispose]();
  await waitUntil("waiting", ...pages);
  match(await pages[0]!.innerText(".connection"), /Disconnected\s+Trying again in \d+ s\./);
  await using _second = await Program.start({ ...settings, PORT: new URL(first.url).port });
  await publishToAll(2);
  await waitUntil("live", ...pages);
  await publishToAll(3);
  for (const page of pages) {
    await expectPayloads(page, ["1", "2", "3"]);
    ok(Number(await page.innerText("#reconnects")) >= 1);
  }
});

testInChromium("Tabs share a stream only with the same token", async () => {
  await using service = await ServedService.start(TOKEN_SETTINGS);
  await using tabs = await Tabs.open(service.url);
  const [one, other] = [await mint({ subscribe: ["p_a"] }), await mint({ subscribe: ["p_*"] })];
  const pages = [await tabs.openWithToken("p_a", one), await tabs.openWithToken("p_a", one)];
  await waitUntil("live", ...pages);
  await untilStreams(service, 1);
  pages.push(await tabs.openWithToken("p_a", other));
  await waitUntil("live", ...pages);
  await untilStreams(service, 2);
  pages.push(await tabs.openWithToken("p_a", one));
  await waitUntil("live", ...pages);
  await publish(service.url, "p_a", 1);
  for (const page of pages) await expectPayloads(page, ["1"]);
  await untilStreams(service, 2);
  // A tab has no token but its own.
  const next = await tabs.openViewer("p_a");
  await waitUntil("needs-token", next);
});

testInChromium(
  "Tabs with tickets leave connections for others, and say why they wait",
  async () => {
    await using service = await ServedService.start(TOKEN_SETTINGS);
    await using tabs = await Tabs.open(service.url);
    const pages: Page[] = [];
    for (let i = 0; i < 4; i++) pages.push(await tabs.openWithToken("p_a", PUBLISH_TOKEN));
    await waitUntil("live", ...pages);
    await untilStreams(service, 4);
    const fifth = await tabs.openWithToken("p_a", PUBLISH_TOKEN);
    await waitUntil("needs-slot", fifth);
    match(await fifth.innerText(".state-more"), /^4 other tabs of this browser have a stream/);
    await pages[0]!.close();
    await waitUntil("live", fifth);
    equal(await fifth.innerText(".state-more"), "");
  },
);

testInChromium(
  "A tab beyond the connections of a browser without shared workers says why it waits",
  async () => {
    await using service = await ServedService.start();
    await using tabs = await Tabs.open(service.url);
    await tabs.removeSharedWorkers();
    const pages: Page[] = [];
    for (let i = 0; i < 5; i++) {
      pages.push(await (i % 2 === 0 ? tabs.openViewer("p_a") : tabs.openStart()));
    }
    await waitUntil("live", ...pages);
    // The sixth and the seventh: without the limit this one would not load at all.
    const sixth = await tabs.openStart();
    await waitUntil("needs-slot", sixth);
    match(
      await sixth.innerText("#state"),
      /^Waiting for another tab\. 5 other tabs of this browser /,
    );
    await service.publish("p_a", "orders", 1);
    const seventh = await tabs.openViewer("p_a");
    await waitUntil("needs-slot", seventh);
    match(await seventh.innerText(".state-more"), /^5 other tabs of this browser have a stream/);
    // The history takes a connection for a moment only.
    await expectPayloads(seventh, ["1"]);
    await pages[0]!.close();
    await waitUntil("live", sixth);
    equal(await seventh.getAttribute("#state", "data-state"), "needs-slot");
    await sixth.close();
    await waitUntil("live", seventh);
    equal(await seventh.innerText(".state-more"), "");
  },
);
