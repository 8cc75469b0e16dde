import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { Page } from "playwright-core";
import { systemChromium, testInChromium } from "../../support/browser/chromium.ts";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { accessibilityViolations, openWatchedPage } from "../../support/browser/watched_page.ts";
import { Nginx, systemNginx } from "../../support/programs/nginx.ts";
import { testWithRequirements } from "../../support/programs/requirements.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";

/** A quick test: each probe takes two seconds. */
const QUICK = "/diagnose?every=200";

/** A test whose lines are far apart, for a proxy that cuts the stream before the second line. */
const SLOW = "/diagnose?every=1000";

const AS_SENT = "Events arrive as sent";
const HELD_BACK = /^Something on the way holds events back for (about|at least) \d/;

/** Waits for the verdict and returns it. */
async function verdict(page: Page): Promise<{ title: string; text: string; tone: string | null }> {
  await page.waitForSelector("#again:enabled");
  // A machine that is busy with other tests causes hiccups.
  for (let i = 0; i < 5 && (await page.innerText("#title")).includes("hiccup"); i++) {
    await page.click("#again");
    await page.waitForSelector("#again:enabled");
  }
  return {
    title: await page.innerText("#title"),
    text: await page.innerText("#text"),
    tone: await page.getAttribute("#verdict", "data-tone"),
  };
}

testInChromium(
  "/diagnose says that events arrive as sent when there is no proxy",
  async () => {
    await using service = await ServedService.start();
    await Promise.all((["light", "dark"] as const).map(async (colorScheme) => {
      const { page, complaints } = await openWatchedPage(sharedChromium(), {
        colorScheme,
        viewport: { width: 360, height: 740 },
      });
      await page.goto(service.url + QUICK);
      match(await page.innerText("#title"), /^Listening/);
      const { title, text, tone } = await verdict(page);
      deepEqual([title, tone], [AS_SENT, "good"]);
      match(text, /Nothing between .* holds events back\.$/);
      equal(await page.locator("#lines tr").count(), 10);
      match(await page.innerText("#facts"), /HTTP\/1\.1/);
      // Nothing is wider than a phone.
      equal(await page.evaluate("document.documentElement.scrollWidth"), 360);
      await page.evaluate(
        "for (const hidden of document.querySelectorAll('details')) hidden.open = true",
      );
      equal(await page.evaluate("document.documentElement.scrollWidth"), 360);
      deepEqual(await accessibilityViolations(page), []);
      deepEqual(complaints, []);
      await page.close();
    }));
    equal(service.stats.probes, 0);
  },
);

testWithRequirements(
  [systemChromium, systemNginx],
  "/diagnose tests a quiet stream on demand, and says after how long something cuts it",
  async () => {
    await using service = await ServedService.start();
    await using nginx = await Nginx.start(
      `location / { proxy_pass ${service.url}; proxy_buffering off; proxy_read_timeout 1s; }`,
    );
    // Lines of the quiet stream are three seconds apart.
    const path = "/diagnose?every=100";
    const check = async (url: string) => {
      const { page } = await openWatchedPage(sharedChromium());
      await page.goto(url + path);
      equal((await verdict(page)).title, AS_SENT);
      await page.click("#quiet");
      match(await page.innerText("#text"), /This takes 12 seconds/);
      const found = await verdict(page);
      const advice = await page.getAttribute("details[data-by*=nginx]", "open");
      await page.close();
      return { ...found, advice };
    };
    const [direct, cut] = await Promise.all([check(service.url), check(nginx.url)]);
    deepEqual([direct.tone, direct.advice], ["good", null]);
    equal(direct.title, "A quiet stream stays open for 12 seconds");
    deepEqual([cut.tone, cut.advice], ["bad", ""]);
    match(cut.title, /^Something on the way cuts streams after 1(\.\d)? seconds?$/);
    match(cut.text, /waits for a byte for 1(\.\d)? seconds? only/);
    equal(service.stats.probes, 0);
  },
);

/** Settings of nginx, and the verdict on them. */
interface Case {
  what: string;
  server: (pass: string) => string;
  /** Settings of another nginx in front of it. */
  front?: (pass: string) => string;
  path?: string;
  title: string | RegExp;
  text: RegExp;
}

const COMPRESSED = "gzip on; gzip_types *; gzip_min_length 0;";

const cases: Case[] = [
  {
    what: "its defaults, which buffer but respect X-Accel-Buffering",
    server: (pass) => `location / { ${pass} }`,
    title: AS_SENT,
    text: /respects their header X-Accel-Buffering/,
  },
  {
    what: "its buffering off",
    server: (pass) => `location / { ${pass} proxy_buffering off; }`,
    title: AS_SENT,
    text: /^Lines came one by one[^\n]*holds events back\.$/,
  },
  {
    what: "HTTP/1.1 to the service, with which its buffer passes each chunk on",
    server: (pass) =>
      `location / { ${pass} proxy_http_version 1.1; proxy_set_header Connection ""; }`,
    title: AS_SENT,
    text: /^Lines came one by one[^\n]*holds events back\.$/,
  },
  {
    what: "compression",
    server: (pass) => `${COMPRESSED} location / { ${pass} proxy_http_version 1.1; }`,
    title: AS_SENT,
    text: /compresses the stream \(gzip\)/,
  },
  {
    what: "X-Accel-Buffering ignored",
    server: (pass) => `location / { ${pass} proxy_ignore_headers X-Accel-Buffering; }`,
    title: HELD_BACK,
    text:
      /All 10 lines arrived together.*(the buffer holds about \d+ KiB|a full buffer is passed on).*See what to set/s,
  },
  {
    what: "X-Accel-Buffering ignored for the streams only",
    server: (pass) =>
      `location / { ${pass} proxy_buffering off; }
       location ~ ^(/pipelines/[^/]+)?/sse$ { ${pass} proxy_ignore_headers X-Accel-Buffering; }`,
    title: HELD_BACK,
    text: /All 10 lines arrived together/,
  },
  {
    what: "another nginx in front, which X-Accel-Buffering does not reach",
    server: (pass) => `location / { ${pass} proxy_buffering off; }`,
    front: (pass) => `location / { ${pass} }`,
    title: HELD_BACK,
    text: /All 10 lines arrived together/,
  },
  {
    what: "another nginx in front, which X-Accel-Buffering reaches",
    server: (pass) => `location / { ${pass} proxy_pass_header X-Accel-Buffering; }`,
    front: (pass) => `location / { ${pass} }`,
    title: AS_SENT,
    text: /respects their header X-Accel-Buffering/,
  },
  {
    what: "a timeout that is too short",
    server: (pass) => `location / { ${pass} proxy_read_timeout 600ms; }`,
    path: SLOW,
    title: /^The connection was cut/,
    text: /1 of 10 lines arrived/,
  },
];

/** An nginx that holds streams back, whatever they ask for. */
const BUFFERING = (url: string) =>
  `location / { proxy_pass ${url}; proxy_ignore_headers X-Accel-Buffering; }`;

testWithRequirements(
  [systemChromium, systemNginx],
  "/diagnose offers long polls where nginx holds streams back, and they work as shown",
  async () => {
    await using service = await ServedService.start();
    await using nginx = await Nginx.start(BUFFERING(service.url));
    await Promise.all((["light", "dark"] as const).map(async (colorScheme) => {
      const { page, complaints } = await openWatchedPage(sharedChromium(), {
        colorScheme,
        viewport: { width: 360, height: 740 },
      });
      await page.goto(nginx.url + QUICK);
      const { title, text } = await verdict(page);
      match(title, HELD_BACK, text);
      match(text, /A long poll passes: .* after 2(\.\d)? seconds, .*See how to poll\.$/s);
      await page.click("text=how to poll");
      const [, eventSource] = await page.locator("#fallback code[data-template]").allInnerTexts();
      equal(
        eventSource,
        `new EventSource("${nginx.url}/pipelines/p_aBcDeF/sse?wait=30");`,
      );
      equal(await page.evaluate("document.documentElement.scrollWidth"), 360);
      deepEqual(await accessibilityViolations(page), []);

      // What is shown, as it is, receives each event long before the end of the poll.
      await service.publish("p_aBcDeF", colorScheme, 1);
      await page.evaluate(`
        globalThis.received = [];
        const source = ${eventSource}
        source.addEventListener("${colorScheme}", ({ data }) => received.push(data));
      `);
      for (const count of [1, 2, 3]) {
        await eventually(
          `event ${count}`,
          async () => await page.evaluate("received.length") === count,
        );
        await service.publish("p_aBcDeF", colorScheme, count + 1);
      }
      deepEqual(complaints, []);

      await page.click("#again");
      await page.waitForSelector("#fallback", { state: "hidden" });
      await page.close();
    }));
  },
);

testWithRequirements(
  [systemChromium, systemNginx],
  "/diagnose says that long polls do not work where nginx does not wait for them",
  async () => {
    await using service = await ServedService.start();
    await using nginx = await Nginx.start(
      BUFFERING(service.url).replace("}", "proxy_read_timeout 1s; }"),
    );
    const { page } = await openWatchedPage(sharedChromium());
    await page.goto(nginx.url + QUICK);
    const { title, text } = await verdict(page);
    match(title, HELD_BACK, text);
    match(text, /A long poll, .*, does not pass either: it was cut after 1(\.\d)? seconds?\./);
    equal(await page.isVisible("#fallback"), false);
    await page.close();
  },
);

/** Number of pages that are open at the same time. */
const AT_ONCE = 4;

testWithRequirements(
  [systemChromium, systemNginx],
  "/diagnose explains the effect of nginx's settings, and opens the advice",
  async () => {
    await using service = await ServedService.start();
    const checks: PromiseSettledResult<void>[] = [];
    // A few at a time: a busy machine must not look like a buffer.
    for (let i = 0; i < cases.length; i += AT_ONCE) {
      const some = cases.slice(i, i + AT_ONCE);
      checks.push(...await Promise.allSettled(some.map((each) => check(each))));
    }
    for (const settled of checks) if (settled.status === "rejected") throw settled.reason;

    async function check({ what, server, front, path = QUICK, title, text }: Case) {
      await using stack = new AsyncDisposableStack();
      let nginx = stack.use(await Nginx.start(server(`proxy_pass ${service.url};`)));
      if (front) nginx = stack.use(await Nginx.start(front(`proxy_pass ${nginx.url};`)));
      const { page, complaints } = await openWatchedPage(sharedChromium());
      await page.goto(nginx.url + path);
      const found = await verdict(page);
      if (typeof title === "string") equal(found.title, title, `${what}: ${found.text}`);
      else match(found.title, title, what);
      match(found.text, text, `${what}: ${found.text}`);
      match(await page.innerText("#facts"), /nginx/);
      const help = page.locator("details[data-by='nginx|openresty']");
      equal(await help.getAttribute("open") === null, title === AS_SENT, what);
      // The browser itself reports a cut connection on the console.
      if (!found.title.includes("cut")) deepEqual(complaints, []);
      await page.close();
    }
  },
);

testInChromium("/diagnose explains an answer of another type, and can be run again", async () => {
  await using service = await ServedService.start();
  const { page } = await openWatchedPage(sharedChromium());
  let isLogin = true;
  await page.route(
    "**/pipelines/diagnose/sse?*",
    (route) =>
      isLogin ? route.fulfill({ contentType: "text/html", body: "Log in" }) : route.continue(),
  );
  await page.goto(service.url + QUICK);
  const { title, tone } = await verdict(page);
  deepEqual([title, tone], ["The answer is not an event stream", "bad"]);
  isLogin = false;
  await page.focus("#again");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-tone=busy]");
  equal((await verdict(page)).title, AS_SENT);
  ok(await page.locator("svg circle").count() >= 20);
  await page.close();
});
