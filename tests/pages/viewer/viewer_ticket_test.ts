import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { jsonEvent } from "../../support/events.ts";
import { type LocalService, startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";
import { expectRows, FAILED_REQUEST, readRows, waitUntilLive } from "./viewer_page.ts";

const SESSION_MS = 60_000;

const SETTINGS = {
  ...TOKEN_SETTINGS,
  RUNNEL_SESSION_MS: `${SESSION_MS}`,
  RUNNEL_RETRY_MS: "200",
  // The fake clock must not end the connection as stalled.
  RUNNEL_KEEPALIVE_MS: "600000",
};

const NOTICE = "Live from here. What is below is history.";

/** Publishes the next number, and returns its ID. */
async function publish({ service }: LocalService, value: number): Promise<string> {
  const { epoch, first } = await service.hub.publish("p_a", [jsonEvent(value)]);
  return `${epoch}-${first}`;
}

/** Opens the viewer with a token, and records the requests that it makes. */
async function openWithToken(tab: BrowserPage, { url }: LocalService, token: string) {
  const requests: string[] = [];
  tab.page.on("request", (request) => {
    const { pathname, searchParams } = new URL(request.url());
    const [, name] = /^\/pipelines\/p_a\/(\w+)$/.exec(pathname) ?? [];
    if (name) requests.push(searchParams.has("ticket") ? `${name} by ticket` : name);
  });
  await tab.page.goto(`${url}/pipelines/p_a`);
  await tab.page.fill("#token-input", token);
  await tab.page.click("text=Use this token");
  await waitUntilLive(tab);
  return requests;
}

/** Waits until the stream has ended, and for the one after it. */
async function expectNextStream(tab: BrowserPage, count: number): Promise<void> {
  await eventually("the next stream", async () => (await tab.texts("dd"))[0] === String(count));
  await waitUntilLive(tab);
}

testInChromium(
  "The viewer gets its next ticket by a publish token when its session ends",
  async () => {
    await using local = await startLocalService(SETTINGS);
    await using tab = await BrowserPage.open();
    const ids = [await publish(local, 1), await publish(local, 2)];
    const requests = await openWithToken(tab, local, PUBLISH_TOKEN);
    await expectRows(tab, [NOTICE, ...ids.toReversed()]);
    ids.push(await publish(local, 3));
    await expectRows(tab, [ids[2]!, NOTICE, ...ids.slice(0, 2).toReversed()]);
    equal(requests.filter((name) => name === "tickets").length, 1);

    requests.length = 0;
    const failures = tab.errors.length;
    local.service.clock.advance(SESSION_MS);
    await tab.page.waitForSelector('#state[data-state="waiting"]');
    ids.push(await publish(local, 4));
    await expectNextStream(tab, 1);
    ids.push(await publish(local, 5));
    await eventually("the newest is shown", async () => (await readRows(tab)).includes(ids[4]!));
    const shown = (await readRows(tab)).filter((row) => ids.includes(row));
    deepEqual(shown, ids.toReversed(), "no gap and no repeat");
    deepEqual(requests.slice(0, 2), ["tickets", "sse by ticket"], "the old ticket is not tried");
    equal(tab.errors.length, failures, "nothing was refused");
  },
);

testInChromium("The viewer asks for another token when its own has expired", async () => {
  await using local = await startLocalService(SETTINGS);
  await using tab = await BrowserPage.open();
  const ids = [await publish(local, 1)];
  const grant = { subscribe: ["p_a"] };
  const requests = await openWithToken(
    tab,
    local,
    await mint(grant, local.service.clock.now() + SESSION_MS),
  );
  await expectRows(tab, [NOTICE, ids[0]!]);
  local.service.clock.advance(SESSION_MS + 1000);
  await tab.page.waitForSelector('#state[data-state="needs-token"]');
  match(await tab.text("#token-why"), /^Cannot authenticate: the token is invalid: it has expired/);
  ids.push(await publish(local, 2));
  await tab.page.fill("#token-input", await mint(grant));
  await tab.page.click("text=Use this token");
  await expectNextStream(tab, 1);
  ids.push(await publish(local, 3));
  await eventually("the newest is shown", async () => (await readRows(tab)).includes(ids[2]!));
  const shown = (await readRows(tab)).filter((row) => ids.includes(row));
  deepEqual(shown, ids.toReversed(), "no gap and no repeat");
  ok(!requests.some((name) => /ticket/.test(name)), "a token that may subscribe needs no ticket");
});

testInChromium("The viewer gets its next ticket when all of its pipeline are revoked", async () => {
  await using local = await startLocalService(SETTINGS);
  await using tab = await BrowserPage.open();
  const ids = [await publish(local, 1)];
  await openWithToken(tab, local, PUBLISH_TOKEN);
  await expectRows(tab, [NOTICE, ids[0]!]);
  const headers = bearerHeader(PUBLISH_TOKEN);
  const response = await fetch(`${local.url}/pipelines/p_a/tickets`, { method: "DELETE", headers });
  equal(response.status, 204);
  await expectNextStream(tab, 1);
  ids.push(await publish(local, 2));
  await expectRows(tab, [ids[1]!, NOTICE, ids[0]!]);
  deepEqual(tab.errors.filter((error) => !FAILED_REQUEST.test(error)), []);
});
