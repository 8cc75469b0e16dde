import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { DataFolder, Program } from "../../support/programs/program.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";
import { expectRows, expectText, FAILED_REQUEST, readRows, waitUntilLive } from "./viewer_page.ts";

/** A service whose streams require a token, as far as its pages can notice. */
async function startGuardedService(token: string, isStreamPublic = false) {
  const settings = { RUNNEL_RETRY_MS: "10", RUNNEL_MAX_STREAM_AGE_MS: "60000" };
  const guarded = { token, refused: 0 };
  const local = await startLocalService(settings, (request) => {
    const { pathname } = new URL(request.url);
    const isMine = request.headers.get("Authorization") === `Bearer ${guarded.token}`;
    const needsToken = pathname === "/ingest" ||
      !isStreamPublic && /\/(sse|events|tickets)$/.test(pathname);
    if (!needsToken || isMine) return null;
    guarded.refused++;
    return Response.json({ detail: "Expected a valid token" }, { status: 401 });
  });
  return Object.assign(guarded, local, { page: `${local.url}/pipelines/p_a` });
}

testInChromium(
  "The viewer asks for a token, keeps it in memory, and asks again when it is not valid any more",
  async () => {
    await using guarded = await startGuardedService("secret");
    await using tab = await BrowserPage.open();
    const { service } = guarded;
    const a = await service.publish("p_a", "orders", 1);
    await tab.page.goto(guarded.page);
    await expectText(tab, "#token-why", "This service asks for a token.");
    equal(await tab.text("#state"), "Waiting for a token");
    await expectText(tab, "#empty", "The events appear here after you enter a token.");
    deepEqual(await tab.accessibilityViolations(), []);
    await tab.page.keyboard.type("wrong");
    await tab.page.keyboard.press("Enter");
    await expectText(tab, "#token-why", "Expected a valid token");
    await tab.page.click("text=Not now");
    await expectText(tab, ".state-more", "This needs a token.");
    equal(await tab.text("#state"), "Stopped");
    await expectText(tab, "#empty", "The history was not read.");
    await tab.page.click("text=Try now");
    await tab.page.fill("#token-input", "secret");
    await tab.page.click("text=Use this token");
    await waitUntilLive(tab);
    const notice = "Live from here. What is below is history.";
    await expectRows(tab, [notice, a]);

    await tab.page.click("#send");
    await eventually("the event is shown", async () => (await readRows(tab)).length === 3);
    const [b] = await readRows(tab);
    // The stream ends, and the token does not open the next one.
    guarded.token = "another-secret";
    service.clock.advance(100_000);
    await expectText(tab, "#token-why", "Expected a valid token");
    equal(await tab.text("#state"), "Waiting for a token");
    const c = await service.publish("p_a", "orders", 2);
    await tab.page.click("text=Not now");
    await expectText(tab, ".state-more", "This needs a token.");
    equal(await tab.text("#state"), "Stopped");
    await tab.page.click("text=Try now");
    await tab.page.fill("#token-input", "another-secret");
    await tab.page.click("text=Use this token");
    await waitUntilLive(tab);
    await expectRows(tab, ["Reconnected. 1 event was caught up.", c, b!, notice, a]);

    const kept = await tab.page.evaluate<string>(
      "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])",
    );
    ok(!kept.includes("secret"), kept);
    await tab.page.reload();
    await expectText(tab, "#token-why", "This service asks for a token.");
    deepEqual(tab.errors.filter((error) => !FAILED_REQUEST.test(error)), []);
  },
);

testInChromium("The viewer asks for a token when only publishing requires one", async () => {
  await using guarded = await startGuardedService("secret", true);
  await using tab = await BrowserPage.open();
  await tab.page.goto(guarded.page);
  await waitUntilLive(tab);
  await tab.page.click("#send");
  await expectText(tab, "#token-why", "This service asks for a token.");
  await tab.page.click("text=Not now");
  await expectText(tab, "#sent", "Not sent: This needs a token.");
  await tab.page.click("#send");
  await tab.page.fill("#token-input", "secret");
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector(".row");
  equal(await tab.text("#state"), "Live");
});

for (
  const [title, createToken, expectedTickets] of [
    ["a token", () => mint({ publish: ["p_a"], subscribe: ["p_a"] }), 0],
    ["a ticket", () => Promise.resolve(PUBLISH_TOKEN), 1],
  ] as const
) {
  testInChromium(
    `The viewer opens a real service's stream by ${title}, and reconnects`,
    async () => {
      await using folder = new DataFolder();
      const settings = { ...TOKEN_SETTINGS, RUNNEL_KV: folder.kv, RUNNEL_RETRY_MS: "100" };
      const first = await Program.start(settings);
      await using tab = await BrowserPage.open();
      const streams: string[] = [];
      tab.page.context().on("request", (request) => {
        if (request.url().includes("/sse")) streams.push(new URL(request.url()).search);
      });
      await tab.page.goto(`${first.url}/pipelines/p_a`);
      await tab.page.fill("#token-input", await createToken());
      await tab.page.click("text=Use this token");
      await waitUntilLive(tab);
      await first[Symbol.asyncDispose]();
      await tab.page.waitForSelector('#state[data-state="waiting"]');
      await using _second = await Program.start({ ...settings, PORT: new URL(first.url).port });
      await waitUntilLive(tab);
      const answer = await fetch(`${first.url}/ingest/p_a/orders`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...bearerHeader(PUBLISH_TOKEN) },
        body: "1",
      });
      const [{ id }] = (await answer.json()).events;
      await eventually("the event is shown", async () => (await readRows(tab)).includes(id));
      // The ticket's URL works again for the client that knows the stream: no second ticket.
      const tickets = new Set(streams.filter((search) => search.includes("ticket=")));
      equal(tickets.size, expectedTickets);
    },
  );
}
