import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { testInChromium } from "../../support/chromium.ts";
import { eventually } from "../../support/eventually.ts";
import { startLocalService } from "../../support/local_service.ts";
import { DataFolder, Program } from "../../support/program.ts";
import { Tab } from "../../support/tab.ts";
import { bearing, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../../support/tokens.ts";

/** What a browser says of every answer that is an error, and of a service that is away. */
const FAILED_REQUEST = /^Failed to load resource/;

/** The pipeline of a test, on its own service. */
class Pipeline {
  readonly page: string;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    this.page = `${url}/pipelines/p_a`;
  }

  /** Publishes events in one request, and returns their IDs. */
  async publish(...events: { channel?: string; payload?: unknown }[]): Promise<string[]> {
    const body = events.map((event) => ({
      pipeline: "p_a",
      channel: "orders",
      payload: 1,
      ...event,
    }));
    const answer = await fetch(`${this.#url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    equal(answer.status, 202);
    return (await answer.json()).events.map(({ id }: { id: string }) => id);
  }

  /** Clears the history. */
  async clear(): Promise<void> {
    const answer = await fetch(`${this.page}/events`, { method: "DELETE" });
    equal(answer.status, 204);
  }

  /** The history's times by ID. */
  async times(): Promise<Map<string, string>> {
    const { events } = await (await fetch(`${this.page}/events`)).json();
    return new Map(events.map(({ id, time }: { id: string; time: string }) => [id, time]));
  }
}

async function open(tab: Tab, pipeline: Pipeline): Promise<void> {
  await tab.page.goto(pipeline.page);
  await live(tab);
}

async function live(tab: Tab): Promise<void> {
  await tab.page.waitForSelector('#state[data-state="live"]');
}

/** The IDs of the rows, from the top, and notices as they read. */
async function rows(tab: Tab): Promise<string[]> {
  return await tab.page.evaluate<string[]>(
    `[...document.querySelectorAll("#rows > li")].map((row) =>
      row.dataset.id ?? row.querySelector("span").textContent)`,
  );
}

async function rowsAre(tab: Tab, expected: string[]): Promise<void> {
  let seen: string[] = [];
  await eventually("the rows are as expected", async () => {
    seen = await rows(tab);
    return seen.length >= expected.length && seen[0] === expected[0];
  }).catch(() => {});
  deepEqual(seen, expected);
}

async function says(tab: Tab, selector: string, words: string): Promise<void> {
  let seen = "";
  await eventually(`${selector} says "${words}"`, async () => {
    seen = await tab.text(selector);
    return seen === words;
  }).catch(() => {});
  equal(seen, words);
}

testInChromium(
  "The viewer tells history from news, with no hole and no double between",
  async () => {
    await using service = await startLocalService();
    await using tab = await Tab.open();
    const pipeline = new Pipeline(service.url);
    const [a, b] = await pipeline.publish({ payload: { n: [1, 2] } }, { channel: "payments" });
    // What comes between the two answers is in neither, unless the stream goes on after the history.
    let between: string[] = [];
    await tab.page.route("**/sse", async (route) => {
      between = await pipeline.publish({}, {});
      await route.continue();
    });
    await open(tab, pipeline);
    const notice = "Live from here. What is below is history.";
    const history = [...between.toReversed(), b!, a!];
    await rowsAre(tab, [notice, ...history]);
    const [news] = await pipeline.publish({ payload: "Hello there" });
    await rowsAre(tab, [news!, notice, ...history]);

    equal((await tab.texts("#rows .tag")).join(), "history,history,history,history");
    const published = await pipeline.times();
    await eventually("history has the times of the log", async () => {
      const shown = await tab.page.evaluate<string[]>(
        `[...document.querySelectorAll("#rows .is-history time")].map(({ dateTime }) => dateTime)`,
      );
      return shown.join() === history.map((id) => published.get(id)).join();
    });
    equal(await tab.text(`[data-id="${a}"] pre`), '{ "n": [1, 2] }');
    equal(await tab.text(`[data-id="${news}"] pre`), '"Hello there"');
    match(await tab.text(`[data-id="${news}"]`), /^orders (\d\d:){2}\d\d\.\d{3} /);
    deepEqual(await tab.texts(".chip"), ["All", "orders 4", "payments 1"]);
    deepEqual(await tab.texts("dd"), ["0", "just now", news!]);
    equal(await tab.text("#state"), "Live");
    equal(await tab.page.title(), "p_a · Runnel");
    deepEqual(tab.troubles, []);
  },
);

testInChromium("The viewer filters by channels and by text", async () => {
  await using service = await startLocalService();
  await using tab = await Tab.open();
  const pipeline = new Pipeline(service.url);
  const [a, b, c] = await pipeline.publish(
    { channel: "orders", payload: "Luke" },
    { channel: "payments", payload: "luke" },
    { channel: "shipments", payload: "Leia" },
  );
  await open(tab, pipeline);
  const notice = "Live from here. What is below is history.";
  await rowsAre(tab, [notice, c!, b!, a!]);
  await tab.page.click('[data-channel="orders"]');
  await tab.page.click('[data-channel="shipments"]');
  await says(tab, "#count", "2 of 3 events match.");
  deepEqual(await rows(tab), [notice, c, a]);
  await tab.page.fill("#text", "luke");
  await says(tab, "#count", "1 of 3 events match.");
  deepEqual(await rows(tab), [notice, a]);
  const [d] = await pipeline.publish({ payload: "LUKE" }, { channel: "payments", payload: "Luke" });
  await rowsAre(tab, [d!, notice, a!]);
  await tab.page.click("text=All");
  await says(tab, "#count", "4 of 5 events match.");
  await tab.page.fill("#text", "nobody");
  await says(tab, "#empty", "No event matches the filter.");
  deepEqual(tab.troubles, []);
});

testInChromium("The viewer pauses without losing, and clears", async () => {
  await using service = await startLocalService();
  await using tab = await Tab.open();
  const pipeline = new Pipeline(service.url);
  const notice = "Live from here.";
  await open(tab, pipeline);
  await says(
    tab,
    "#empty",
    "No events yet. Send one with the form on this page, or from your own program.",
  );
  const [a] = await pipeline.publish({});
  await rowsAre(tab, [a!, notice]);
  await tab.page.click("#pause");
  const [b, c] = await pipeline.publish({}, {});
  await says(tab, "#waiting", "Paused. 2 new events wait.");
  deepEqual(await rows(tab), [a, notice]);
  await tab.page.click("#clear");
  await says(tab, "#waiting", "Paused. 2 new events wait.");
  await tab.page.click("text=Resume");
  await rowsAre(tab, [c!, b!]);
  await tab.page.click("#clear");
  await rowsAre(tab, []);
  deepEqual(tab.troubles, []);
});

testInChromium("The viewer copies an event, and downloads what is shown", async () => {
  await using service = await startLocalService();
  await using tab = await Tab.open();
  const pipeline = new Pipeline(service.url);
  const long = { lines: Array.from({ length: 40 }, (_, n) => `${n} ${"x".repeat(20)}`) };
  const [a, b] = await pipeline.publish({ payload: long }, { channel: "payments" });
  const exact = "12345678901234567890";
  await open(tab, pipeline);
  await tab.page.fill("#send-payload", `[${exact}]`);
  await tab.page.click("#send");
  await eventually("it is there", async () => (await rows(tab)).length === 4);
  const [c] = await rows(tab);
  equal(await tab.text(`[data-id="${c}"] pre`), `[${exact}]`);

  await tab.page.click(`[data-id="${c}"] [data-action=copy]`);
  await tab.page.waitForSelector("text=Copied");
  const copied = await tab.clipboard();
  deepEqual({ ...JSON.parse(copied), time: "" }, {
    id: c,
    channel: "events",
    time: "",
    payload: [Number(exact)],
  });
  ok(copied.includes(exact));
  // As in a page that did not come by HTTPS.
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
  await says(tab, "#count", "2 of 3 events match.");
  const downloading = tab.page.waitForEvent("download");
  await tab.page.click("#download");
  const download = await downloading;
  equal(download.suggestedFilename(), "p_a.ndjson");
  const text = await Deno.readTextFile(await download.path());
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  deepEqual(lines.map(({ id, channel }) => [id, channel]), [[b, "payments"], [c, "events"]]);
  ok(text.endsWith(`"payload":[${exact}]}\n`));
  deepEqual(tab.troubles, []);
});

testInChromium("The viewer sends a test event, and says why one was not sent", async () => {
  await using service = await startLocalService();
  await using tab = await Tab.open();
  const pipeline = new Pipeline(service.url);
  await open(tab, pipeline);
  await tab.page.fill("#send-payload", "{");
  await tab.page.click("#send");
  await says(
    tab,
    "#sent",
    "Not sent: the payload is not JSON. Put a plain text in double quotes.",
  );
  await tab.page.fill("#send-payload", '{"a": 1.0}');
  await tab.page.fill("#send-channel", "runnel.x");
  await tab.page.click("#send");
  await eventually("it is told", async () => /Not sent:.*runnel/.test(await tab.text("#sent")));
  await tab.page.fill("#send-channel", "tests");
  await tab.page.click("#send");
  await tab.page.waitForSelector(".row");
  const [id] = await rows(tab);
  await says(tab, "#sent", `Sent as ${id}.`);
  equal(await tab.text(".row pre"), '{ "a": 1.0 }');
  deepEqual(tab.troubles.filter((trouble) => !FAILED_REQUEST.test(trouble)), []);
});

testInChromium("The viewer comes back after a restart and misses nothing", async () => {
  await using folder = new DataFolder();
  const settings = { RUNNEL_KV: folder.kv, RUNNEL_RETRY_MS: "100" };
  await using tab = await Tab.open();
  const first = await Program.start(settings);
  const pipeline = new Pipeline(first.url);
  const ids = await pipeline.publish({}, {});
  await open(tab, pipeline);
  ids.push(...await pipeline.publish({}));
  await first[Symbol.asyncDispose]();
  await tab.page.waitForSelector('#state[data-state="waiting"]');
  match(await tab.text(".connection"), /Disconnected Trying again in \d+ s\. Try now/);
  await using _second = await Program.start({ ...settings, PORT: new URL(first.url).port });
  // The page may be back before this or after it: both are to end the same.
  const missed = await pipeline.publish({}, {});
  await live(tab);
  ids.push(...missed, ...await pipeline.publish({}));
  await eventually("all are there", async () => {
    const seen = (await rows(tab)).filter((row) => ids.includes(row));
    return seen.length >= ids.length;
  });
  const seen = (await rows(tab)).filter((row) => ids.includes(row));
  deepEqual(seen, ids.toReversed());
  equal((await tab.texts("dd"))[0], "1");
  ok((await rows(tab)).some((row) => row.startsWith("Reconnected.")));
  deepEqual(tab.troubles.filter((trouble) => !FAILED_REQUEST.test(trouble)), []);
});

testInChromium("The viewer shows a gap as a gap", async () => {
  await using service = await Program.start({ RUNNEL_KV: ":memory:" });
  await using tab = await Tab.open();
  const pipeline = new Pipeline(service.url);
  const [a] = await pipeline.publish({});
  // The history is cleared before the stream that goes on after it is opened.
  let b: string | undefined;
  await tab.page.route("**/sse", async (route) => {
    await pipeline.publish({}, {});
    await pipeline.clear();
    [b] = await pipeline.publish({});
    await route.continue();
  }, { times: 1 });
  await open(tab, pipeline);
  await rowsAre(tab, [
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
  await live(tab);
  await rowsAre(tab, [
    "Reconnected. Nothing was missed.",
    "Events may be missing here: the log does not know the last event ID. Its history follows.",
    "7 events are missing here: the log keeps only the newest.",
    b!,
  ]);
  deepEqual(tab.troubles, []);
});

testInChromium("The viewer stays responsive in a burst of 5,000 events in a second", async () => {
  await using service = await startLocalService();
  await using tab = await Tab.open();
  const pipeline = new Pipeline(service.url);
  await open(tab, pipeline);
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
  await says(tab, "#count", "5,001 events; the newest 200 are listed.");
  const [longest, most, draws] = await tab.page.evaluate<[number, number, number]>(
    "[longest, most, draws]",
  );
  ok(longest < 400, `a task took ${longest} ms`);
  ok(most <= 400, `${most} rows`);
  ok(draws <= 500, `${draws} changes`);
  equal((await rows(tab)).length, 200);
  await tab.page.fill("#text", "nobody");
  await says(tab, "#empty", "No event matches the filter.");
  await eventually("the chart says it in words", async () => {
    const words = await tab.page.getAttribute(".chart", "aria-label") ?? "";
    return /^Events per second over the last 5 minutes: now [\d,.]+, at most [1-9][\d,]+\.$/.test(
      words,
    );
  });
  ok(await tab.page.locator(".chart rect").count() >= 8);
  deepEqual(tab.troubles, []);
});

testInChromium("The viewer reads out news in one sentence every few seconds", async () => {
  await using service = await startLocalService();
  await using tab = await Tab.open();
  await tab.page.clock.install();
  const pipeline = new Pipeline(service.url);
  await tab.page.goto(pipeline.page);
  await tab.page.clock.pauseAt(Date.now() + 60_000);
  await live(tab);
  await tab.page.evaluate(`
    globalThis.said = [];
    new MutationObserver(() => said.push(announcement.textContent)).observe(announcement, { childList: true });
  `);
  for (let i = 0; i < 12; i++) {
    await pipeline.publish({});
    await tab.page.clock.runFor(100);
  }
  await eventually("all came", async () => {
    await tab.page.clock.runFor(10);
    return (await tab.text("#count")) === "12 events.";
  });
  await tab.page.clock.runFor(15_000);
  const said = await tab.page.evaluate<string[]>("said");
  // The seconds may have been over in the midst of them.
  ok(said.length <= 2, said.join());
  equal(said.reduce((sum, words) => sum + parseInt(words), 0), 12);
  deepEqual(tab.troubles, []);
});

testInChromium("The viewer has no barriers, in light, dark, wide and narrow", async () => {
  await using service = await startLocalService();
  const pipeline = new Pipeline(service.url);
  await pipeline.publish(
    { payload: { name: "Luke", age: 19, jedi: true } },
    { channel: "a channel with a name that is so long that it has to be broken somewhere" },
    { payload: "x".repeat(500) },
  );
  const gap = 'event: runnel.gap\ndata: {"missed":7,"reason":"evicted"}\n\n';
  const event = 'id: a-9\nevent: orders\ndata: {"n":1}\n\n';
  const body = `retry: 30000\n\n${gap}event: runnel.live\ndata: {"replayed":0}\n\n${event}`;
  await using tab = await Tab.open();
  await tab.page.route(
    "**/sse",
    (route) => route.fulfill({ contentType: "text/event-stream", body }),
  );
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.page.emulateMedia({ colorScheme });
    for (const width of [1280, 360]) {
      await tab.page.setViewportSize({ width, height: 740 });
      await tab.page.goto(pipeline.page);
      await tab.page.waitForSelector('#state[data-state="waiting"]');
      await tab.page.click("#pause");
      deepEqual(await tab.barriers(), []);
      equal(await tab.page.evaluate("document.documentElement.scrollWidth"), width);
    }
    deepEqual(tab.troubles, []);
  }
});

testInChromium("The viewer is used by keyboard alone, and shows where one is", async () => {
  await using service = await startLocalService();
  await using tab = await Tab.open();
  const pipeline = new Pipeline(service.url);
  const [id] = await pipeline.publish({});
  await open(tab, pipeline);
  await tab.page.waitForSelector(".row");
  const stops: string[] = [];
  for (let i = 0; i < 30 && stops.at(-1) !== `Copy event ${id}`; i++) {
    await tab.page.keyboard.press("Tab");
    const [name, outline] = await tab.page.evaluate<[string, string]>(`[
      document.activeElement.ariaLabel ?? (document.activeElement.id || document.activeElement.textContent),
      getComputedStyle(document.activeElement).outlineStyle,
    ]`);
    equal(outline, "solid", name);
    stops.push(name);
  }
  const last = stops.slice(stops.indexOf("text"));
  deepEqual(last, ["text", "pause", "clear", "download", "All", "orders 1", `Copy event ${id}`]);
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector("text=Copied");
  equal(JSON.parse(await tab.clipboard()).id, id);
});

/** A service whose streams need a token, as far as its pages know it. */
async function startGuardedService(token: string, isStreamPublic = false) {
  const settings = { RUNNEL_RETRY_MS: "10", RUNNEL_MAX_STREAM_AGE_MS: "60000" };
  const tickets = new Set<string>();
  const refuse = (status: number, detail: string) => Response.json({ detail }, { status });
  const local = await startLocalService(settings, (request) => {
    const { pathname, searchParams, origin } = new URL(request.url);
    const ticket = searchParams.get("ticket");
    const isMine = request.headers.get("Authorization") === `Bearer ${token}`;
    const needsToken = pathname === "/ingest" ||
      !isStreamPublic && /\/(sse|events|tickets)$/.test(pathname);
    if (ticket !== null) return tickets.has(ticket) ? null : refuse(403, "The session is over");
    if (needsToken && !isMine) return refuse(401, "Expected a valid token");
    if (!pathname.endsWith("/tickets")) return null;
    const fresh = crypto.randomUUID();
    tickets.add(fresh);
    const url = `${origin}${pathname.replace("/tickets", "/sse")}?ticket=${fresh}`;
    return Response.json({ url, expires: new Date() }, { status: 201 });
  });
  return { ...local, tickets, page: `${local.url}/pipelines/p_a` };
}

testInChromium("The viewer asks for a token, keeps it in memory, and gets tickets", async () => {
  await using guarded = await startGuardedService("secret");
  await using tab = await Tab.open();
  const { service, tickets } = guarded;
  const a = await service.publish("p_a", "orders", 1);
  await tab.page.goto(guarded.page);
  await says(tab, "#token-why", "This service asks for a token.");
  equal(await tab.text("#state"), "Waiting for a token");
  deepEqual(await tab.barriers(), []);
  await tab.page.keyboard.type("wrong");
  await tab.page.keyboard.press("Enter");
  await says(tab, "#token-why", "Expected a valid token");
  await tab.page.click("text=Not now");
  await says(tab, ".state-more", "This needs a token.");
  equal(await tab.text("#state"), "Stopped");
  await tab.page.click("text=Try now");
  await tab.page.fill("#token-input", "secret");
  await tab.page.click("text=Use this token");
  await live(tab);
  const notice = "Live from here. What is below is history.";
  await rowsAre(tab, [notice, a]);
  equal(tickets.size, 1);

  await tab.page.click("#send");
  await eventually("it was sent", async () => (await rows(tab)).length === 3);
  const [b] = await rows(tab);
  // The session ends with its stream: the old ticket is no longer good.
  tickets.clear();
  service.clock.advance(100_000);
  await eventually("it has a new ticket", () => tickets.size === 1);
  await live(tab);
  const c = await service.publish("p_a", "orders", 2);
  await rowsAre(tab, [c, "Reconnected. Nothing was missed.", b!, notice, a]);

  const kept = await tab.page.evaluate<string>(
    "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])",
  );
  ok(!kept.includes("secret"), kept);
  await tab.page.reload();
  await says(tab, "#token-why", "This service asks for a token.");
  deepEqual(tab.troubles.filter((trouble) => !FAILED_REQUEST.test(trouble)), []);
});

testInChromium("The viewer asks for a token where only publishing needs one", async () => {
  await using guarded = await startGuardedService("secret", true);
  await using tab = await Tab.open();
  await tab.page.goto(guarded.page);
  await live(tab);
  await tab.page.click("#send");
  await says(tab, "#token-why", "This service asks for a token.");
  await tab.page.click("text=Not now");
  await says(tab, "#sent", "Not sent: This needs a token.");
  await tab.page.click("#send");
  await tab.page.fill("#token-input", "secret");
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector(".row");
  equal(await tab.text("#state"), "Live");
  equal(guarded.tickets.size, 0);
});

testInChromium(
  "The viewer opens a real service's stream by a ticket, and comes back with it",
  async () => {
    await using folder = new DataFolder();
    const settings = { ...TOKEN_SETTINGS, RUNNEL_KV: folder.kv, RUNNEL_RETRY_MS: "100" };
    const first = await Program.start(settings);
    await using tab = await Tab.open();
    const streams: string[] = [];
    tab.page.on("request", (request) => {
      if (request.url().includes("/sse")) streams.push(new URL(request.url()).search);
    });
    await tab.page.goto(`${first.url}/pipelines/p_a`);
    await tab.page.fill("#token-input", await mint({ publish: ["p_a"], subscribe: ["p_a"] }));
    await tab.page.click("text=Use this token");
    await live(tab);
    await first[Symbol.asyncDispose]();
    await tab.page.waitForSelector('#state[data-state="waiting"]');
    await using _second = await Program.start({ ...settings, PORT: new URL(first.url).port });
    await live(tab);
    const answer = await fetch(`${first.url}/ingest/p_a/orders`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...bearing(PUBLISH_TOKEN) },
      body: "1",
    });
    const [{ id }] = (await answer.json()).events;
    await eventually("the event is there", async () => (await rows(tab)).includes(id));
    // The URL that worked once works again for who knows the stream: no second ticket.
    const tickets = new Set(streams.filter((search) => search.includes("ticket=")));
    equal(tickets.size, 1);
  },
);
