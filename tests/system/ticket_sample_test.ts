import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../support/browser/browser_page.ts";
import { testInChromium } from "../support/browser/chromium.ts";
import { bearerHeader, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { jsonEvent } from "../support/events.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { findReadme } from "../support/readme.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { eventually } from "../support/wait.ts";

const SESSION_MS = 60_000;

testInChromium("The documented page with a ticket goes on when its session ends", async () => {
  await using service = await serveService({
    clock: new FakeClock(),
    settings: {
      ...TOKEN_SETTINGS,
      RUNNEL_SESSION_MS: `${SESSION_MS}`,
      RUNNEL_RETRY_MS: "50",
      // The fake clock must not end the connection as stalled.
      RUNNEL_KEEPALIVE_MS: "600000",
    },
  });
  const bodies: string[] = [];
  const script = findReadme("lib/access/README.md").sample("js", "runnel.expired");
  await using site = serveLocally(async (request) => {
    if (new URL(request.url).pathname !== "/ticket") {
      const html = `<!DOCTYPE html><link rel="icon" href="data:,"><script>${script}</script>`;
      return new Response(html, { headers: { "Content-Type": "text/html" } });
    }
    const body = await request.text();
    bodies.push(body);
    const url = `${service.url}/pipelines/p_a/tickets`;
    return await fetch(url, { method: "POST", headers: bearerHeader(PUBLISH_TOKEN), body });
  });
  await using tab = await BrowserPage.open();
  const logged: string[] = [];
  tab.page.on("console", (message) => {
    if (message.type() === "log") logged.push(message.text());
  });
  let published = 0;
  const publish = async () => {
    const { epoch } = await service.hub.publish("p_a", [
      { ...jsonEvent(++published), channel: "orders" },
      { ...jsonEvent("other"), channel: "payments" },
    ]);
    return epoch;
  };
  const expectAll = async () => {
    const numbers = Array.from({ length: published }, (_, index) => `${index + 1}`);
    await eventually("all events are logged", () => logged.length >= published);
    deepEqual(logged, numbers);
  };

  // The page waits for seconds, and more or less of them.
  await tab.page.addInitScript(`{
    const wait = setTimeout;
    globalThis.setTimeout = (run, ms) => wait(run, ms / 50);
  }`);
  const epoch = await publish();
  await tab.page.goto(site.url);
  await expectAll();
  await publish();
  await expectAll();

  service.clock.advance(SESSION_MS);
  await eventually("the stream has ended", () => service.hub.stats.subscribers === 0);
  await publish();
  await expectAll();
  // After the last event of the stream, of whatever channel.
  deepEqual(bodies.map((body) => JSON.parse(body).lastEventId), ["", `${epoch}-4`]);

  // Its session ends while it is offline: it is refused, and not told before.
  await service.cut(async () => {
    service.clock.advance(SESSION_MS);
    await publish();
  });
  await expectAll();
  await publish();
  await expectAll();
  equal(bodies.length, 3);
});
