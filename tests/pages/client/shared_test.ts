import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import type { Page } from "playwright-core";
import { launchChromium, testInChromium } from "../../support/browser/chromium.ts";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { mint, TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { serveLocally } from "../../support/servers/local_server.ts";
import { eventually } from "../../support/wait.ts";
import {
  expectPayloads,
  freeze,
  payloadsOf,
  stateOf,
  type TabOptions,
  Tabs,
  untilShared,
} from "./tabs.ts";

testInChromium("Ten tabs share one stream, each with its own history", async () => {
  await using tabs = await Tabs.start();
  await tabs.publish("p_a", 1, 2, 3);
  const pages = [await tabs.open()];
  await eventually("the first tab is live", async () => (await stateOf(pages[0]!)).name === "live");
  for (let i = 1; i < 10; i++) pages.push(await tabs.open({ history: "2" }));
  await untilShared(...pages);
  await eventually("one stream", () => tabs.streams === 1);
  await tabs.publish("p_a", 4, 5);
  await expectPayloads(pages.slice(0, 1), [1, 2, 3, 4, 5]);
  await expectPayloads(pages.slice(1), [2, 3, 4, 5]);
  equal(tabs.streams, 1);
});

/** Opens tabs of one pipeline that share a stream. */
async function openShared(tabs: Tabs, count: number): Promise<Page[]> {
  const pages: Page[] = [];
  for (let i = 0; i < count; i++) pages.push(await tabs.open());
  await untilShared(...pages);
  await eventually("one stream", () => tabs.streams === 1);
  return pages;
}

testInChromium("Tabs with several pipelines share a stream that has all of them", async () => {
  await using tabs = await Tabs.start();
  const first = await tabs.open({ pipelines: ["p_a", "p_b"] });
  const second = await tabs.open({ pipelines: ["p_b", "p_c"] });
  await untilShared(first, second);
  await tabs.publish("p_a", 1);
  await tabs.publish("p_b", 2);
  const third = await tabs.open({ pipelines: ["p_d", "p_a"] });
  await untilShared(third);
  await eventually("one stream", () => tabs.streams === 1);
  for (const [pipeline, payload] of [["p_c", 3], ["p_d", 4], ["p_a", 5], ["p_b", 6]] as const) {
    await tabs.publish(pipeline, payload);
  }
  const sorted = async (page: Page) => (await payloadsOf(page)).sort();
  const expected = [[first, [1, 2, 5, 6]], [second, [2, 3, 6]], [third, [1, 4, 5]]] as const;
  for (const [page, payloads] of expected) {
    await eventually("all events", async () => (await payloadsOf(page)).length >= payloads.length);
    deepEqual(await sorted(page), payloads);
  }
  equal(tabs.streams, 1);
});

testInChromium("A frozen tab goes on after its last event, and holds up no other", async () => {
  await using tabs = await Tabs.start();
  const pages = await openShared(tabs, 3);
  const [frozen, ...others] = pages as [Page, ...Page[]];
  const thaw = await freeze(frozen);
  // More than the worker keeps for a tab.
  const many = Array.from({ length: 40 }, (_, i) => `${i} ${"x".repeat(50_000)}`);
  await tabs.publish("p_a", ...many);
  await expectPayloads(others, many);
  await thaw();
  await tabs.publish("p_a", "last");
  await expectPayloads(pages, [...many, "last"]);
  const reasons = await frozen.evaluate<string[]>("states.map(({ reason }) => reason)");
  equal(reasons.includes("The tab did not take its events in time"), true);
  await untilShared(...pages);
  await eventually("one stream", () => tabs.streams === 1);
});

testInChromium("Tabs go on after a restart of the service, and after a proxy's 502", async () => {
  await using tabs = await Tabs.start();
  const pages = await openShared(tabs, 4);
  await tabs.publish("p_a", 1);
  await expectPayloads(pages, [1]);
  await tabs.service.cut(async () => {
    await eventually("a tab waits", async () => (await stateOf(pages[0]!)).name === "waiting");
    await tabs.publish("p_a", 2);
  });
  await expectPayloads(pages, [1, 2]);
  await untilShared(...pages);
  tabs.failure = 502;
  await tabs.service.cut(() => Promise.resolve());
  await eventually("a tab is told", async () => {
    const state = await stateOf(pages[3]!);
    return state.name === "waiting" && state.reason.includes("502");
  });
  await tabs.publish("p_a", 3);
  tabs.failure = 0;
  await expectPayloads(pages, [1, 2, 3]);
  await untilShared(...pages);
  await eventually("one stream", () => tabs.streams === 1);
});

testInChromium("Tabs go on when the worker is killed", async () => {
  await using tabs = await Tabs.start();
  const pages = await openShared(tabs, 3);
  await tabs.publish("p_a", 1);
  await expectPayloads(pages, [1]);
  await killWorkers();
  await tabs.publish("p_a", 2);
  await expectPayloads(pages, [1, 2]);
  await untilShared(...pages);
  await eventually("one stream", () => tabs.streams === 1);
});

testInChromium("Tabs that crash, close and reload leave the others their stream", async () => {
  await using tabs = await Tabs.start();
  const [crashing, closing, reloading, left] = await openShared(tabs, 4) as [
    Page,
    Page,
    Page,
    Page,
  ];
  const crashed = new Promise((resolve) => crashing.once("crash", resolve));
  // It never resolves.
  void crashing.goto("chrome://crash").catch(() => {});
  await crashed;
  await closing.close();
  await tabs.publish("p_a", 1);
  await reloading.reload();
  await untilShared(reloading, left);
  await tabs.publish("p_a", 2);
  await expectPayloads([reloading, left], [1, 2]);
  await eventually("one stream", () => tabs.streams === 1);
});

testInChromium("A page that the user comes back to goes on, and shares again", async () => {
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(
    await launchChromium({ keepsPages: true }),
    (browser) => browser.close(),
  );
  await using tabs = await Tabs.start({}, browser);
  const [leaving, left] = [await tabs.open(), await tabs.open()];
  await untilShared(leaving, left);
  await leaving.goto(`${tabs.service.url}/healthz`);
  await tabs.publish("p_a", 1, 2);
  await expectPayloads([left], [1, 2]);
  // Not `goBack()`, which waits for the page to load.
  await leaving.evaluate("void setTimeout(() => history.back())");
  await eventually(
    "the same page",
    // Without a page for a moment, it rejects.
    async () => await leaving.evaluate("globalThis.returns").catch(() => 0) === 1,
  );
  await tabs.publish("p_a", 3);
  await expectPayloads([leaving, left], [1, 2, 3]);
  await untilShared(leaving, left);
  await eventually("one stream", () => tabs.streams === 1);
});

testInChromium("Pages of another origin share by a worker of their own origin", async () => {
  await using tabs = await Tabs.start();
  const { url } = tabs.service;
  const page = `<!DOCTYPE html><script type="module">
    import { subscribe } from "${url}/assets/client/shared.js";
    globalThis.received = [];
    globalThis.subscription = subscribe("${url}", {
      pipelines: "p_a",
      worker: location.search ? "/events_worker.js" : undefined,
      onEvent: (event) => received.push(event),
    });
  </script>`;
  await using site = serveLocally((request) => {
    const isWorker = new URL(request.url).pathname === "/events_worker.js";
    const type = isWorker ? "text/javascript" : "text/html";
    const body = isWorker ? `import "${url}/assets/client/shared_worker.js";` : page;
    return Promise.resolve(new Response(body, { headers: { "Content-Type": type } }));
  });
  const open = async (query: string) => {
    const page = await tabs.context.newPage();
    await page.goto(`${site.url}/${query}`);
    return page;
  };
  const pages = [await open("?worker"), await open("?worker")];
  await untilShared(...pages);
  await tabs.publish("p_a", 1);
  const apart = await open("");
  await expectPayloads([...pages, apart], [1]);
  match((await stateOf(apart)).apart, /^The shared worker cannot be started: /);
});

testInChromium("A tab without a worker has a stream of its own, and tells why", async () => {
  await using tabs = await Tabs.start();
  const reasons: [TabOptions, RegExp][] = [
    [{ worker: "/none.js" }, /^The shared worker cannot be loaded$/],
    [{ worker: "http://localhost:1/worker.js" }, /^The shared worker cannot be started: /],
  ];
  for (const [options, reason] of reasons) {
    const page = await tabs.open(options);
    await eventually("a reason", async () => (await stateOf(page)).apart !== "");
    // On a busy machine, the worker may first be too late to fail. The tab tries it again.
    await eventually("the reason", async () => reason.test((await stateOf(page)).apart));
  }
  const context = await sharedChromium().newContext();
  await context.addInitScript("delete globalThis.SharedWorker");
  const page = await context.newPage();
  await page.goto(tabs.urlOf());
  await eventually("it is live", async () => (await stateOf(page)).name === "live");
  equal((await stateOf(page)).apart, "This browser has no shared workers");
  await tabs.publish("p_a", 1);
  await expectPayloads([page], [1]);
  await context.close();
});

testInChromium("Tabs with different tokens share nothing", async () => {
  await using tabs = await Tabs.start(TOKEN_SETTINGS);
  const mine = await mint({ subscribe: ["p_a"] });
  const yours = await mint({ subscribe: ["p_a", "p_b"] });
  const pages = [
    await tabs.open({ token: mine }),
    await tabs.open({ token: mine }),
    await tabs.open({ token: yours }),
  ];
  await untilShared(pages[0]!, pages[1]!);
  await eventually("the other one is live", async () => (await stateOf(pages[2]!)).name === "live");
  await eventually("two streams", () => tabs.streams === 2);
  equal((await stateOf(pages[2]!)).isShared, false);
});

/** Ends all shared workers, as a browser does that needs their memory. */
async function killWorkers(): Promise<void> {
  const session = await sharedChromium().newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets");
  const workers = targetInfos.filter(({ type }) => type === "shared_worker");
  equal(workers.length, 1);
  for (const { targetId } of workers) await session.send("Target.closeTarget", { targetId });
  await session.detach();
}
