/**
 * A page with a component of a framework that uses an example, and the scenario that each of them
 * has to pass.
 *
 * @module
 */

import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { openWatchedPage } from "../../support/browser/watched_page.ts";
import { serveLocally } from "../../support/servers/local_server.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";

/** A page that shows `<p>` with the state and `<li>` with each event. */
export interface FrameworkPage {
  /** Import map, besides the client. */
  imports: Record<string, string>;
  /**
   * Code of a module that sets `window.show(url, pipelines)`: shows the channels "orders" and
   * "payments", the newest three events; and nothing if `pipelines` is `null`.
   */
  script: string;
  /** Files of the page, by their names. */
  files: Record<string, string>;
}

/** States while the service is away. */
const AWAY = /^(waiting|connecting)$/;

/** Runs the scenario. */
export async function testFramework({ imports, script, files }: FrameworkPage): Promise<void> {
  await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
  const map = { "@runnel/client": `${service.url}/assets/client/mod.js`, ...imports };
  const html = `<!DOCTYPE html>
    <title>Test</title>
    <link rel="icon" href="data:,">
    <script type="importmap">${JSON.stringify({ imports: map })}</script>
    <div id="root"></div>
    <script type="module">${script}</script>`;
  await using site = serveLocally((request) => {
    const name = new URL(request.url).pathname.slice(1);
    const text = name === "" ? html : files[name];
    const type = name === "" ? "text/html" : "text/javascript";
    const headers = { "Content-Type": `${type}; charset=utf-8` };
    return Promise.resolve(new Response(text ?? "", { status: text ? 200 : 404, headers }));
  });
  await using stack = new AsyncDisposableStack();
  const { page, complaints } = await openWatchedPage(sharedChromium());
  stack.defer(() => page.close());
  const show = (...pipelines: string[]) =>
    page.evaluate(`show(${JSON.stringify(service.url)}, ${JSON.stringify(pipelines)})`);
  const hide = () => page.evaluate(`show(${JSON.stringify(service.url)}, null)`);
  const shows = async (state: RegExp, ...items: string[]) => {
    let shown: string[] = [];
    await eventually(`the page shows ${[state, ...items]}`, async () => {
      shown = await page.locator("p, li").allInnerTexts();
      return state.test(shown[0] ?? "") && shown.slice(1).join() === items.join();
    }).catch(() => {});
    deepEqual(shown, [state.exec(shown[0] ?? "")?.[0] ?? state.source, ...items]);
  };
  const subscribers = (count: number) =>
    eventually(`${count} streams are open`, () => service.stats.subscribers === count);

  await page.goto(site.url);
  await page.waitForFunction("window.show");
  for (const channel of ["orders", "payments", "refunds"]) await service.publish("p_a", channel, 1);
  await show("p_a");
  await shows(/^live$/, "orders 1", "payments 1");
  await service.publish("p_a", "orders", { name: "Luke" });
  await service.publish("p_a", "orders", 3);
  await shows(/^live$/, "payments 1", 'orders {"name":"Luke"}', "orders 3");
  await subscribers(1);
  deepEqual(complaints, []);

  await service.cut(async () => {
    await shows(AWAY, "payments 1", 'orders {"name":"Luke"}', "orders 3");
    await service.publish("p_a", "payments", 4);
  });
  await shows(/^live$/, 'orders {"name":"Luke"}', "orders 3", "payments 4");

  await service.publish("p_b", "orders", 5);
  await show("p_b");
  await shows(/^live$/, "orders 5");
  await subscribers(1);
  await show("p_b", "p_c");
  await shows(/^live$/, "orders 5");
  await service.publish("p_c", "orders", 6);
  await shows(/^live$/, "orders 5", "orders 6");
  await subscribers(1);

  for (const pipeline of ["p_b", "p_c"]) {
    const end = await fetch(`${service.url}/pipelines/${pipeline}/end`, { method: "POST" });
    await end.body?.cancel();
  }
  await shows(/^ended$/, "orders 5", "orders 6");
  await subscribers(0);
  await show("p_a");
  await shows(/^live$/, 'orders {"name":"Luke"}', "orders 3", "payments 4");
  await hide();
  await subscribers(0);

  await show("none");
  await shows(/^refused$/);

  await page.route("**/p_gap/sse*", (route) =>
    route.fulfill({
      contentType: "text/event-stream",
      headers: { "Access-Control-Allow-Origin": "*" },
      body: 'retry: 30000\n\nid: a-8\nevent: runnel.gap\ndata: {"missed":7,"reason":"evicted"}\n\n',
    }));
  await show("p_gap");
  await shows(AWAY, "gap 7");
}
