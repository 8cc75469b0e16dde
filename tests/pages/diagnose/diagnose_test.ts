import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { launchChromium, systemChromium, testInChromium } from "../../support/chromium.ts";
import { testThatNeeds } from "../../support/needs.ts";
import { Nginx, systemNginx } from "../../support/nginx.ts";
import { ServedService } from "../../support/served_service.ts";
import { accessibilityViolations, watchedPage } from "../../support/watched_page.ts";

/** A quick test: two seconds for each probe. */
const QUICK = "/diagnose?every=200";

/** One whose lines are far apart, for what makes an end before the second one. */
const SLOW = "/diagnose?every=1000";

const AS_SENT = "Events arrive as sent";
const HELD = /^Something on the way holds events back for (about|at least) \d/;

/** A service and a browser. */
async function open(
  stack: AsyncDisposableStack,
): Promise<{ service: ServedService; browser: Browser }> {
  const service = stack.use(await ServedService.start());
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  return { service, browser };
}

/** Waits for the verdict and returns it. */
async function verdict(page: Page): Promise<{ title: string; text: string; tone: string | null }> {
  await page.waitForSelector("#again:enabled");
  // A machine that is busy with other tests has hiccups.
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
  "/diagnose says that events arrive as sent where nothing is on the way",
  async () => {
    await using stack = new AsyncDisposableStack();
    const { service, browser } = await open(stack);
    await Promise.all((["light", "dark"] as const).map(async (colorScheme) => {
      const { page, complaints } = await watchedPage(browser, {
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

interface Case {
  what: string;
  server: (pass: string) => string;
  /** The same of another nginx, in front of it. */
  front?: (pass: string) => string;
  path?: string;
  title: string | RegExp;
  text: RegExp;
}

const COMPRESSED = "gzip on; gzip_types *; gzip_min_length 0;";

const cases: Case[] = [
  {
    what: "its defaults, which buffer but heed our header",
    server: (pass) => `location / { ${pass} }`,
    title: AS_SENT,
    text: /heeds their header X-Accel-Buffering/,
  },
  {
    what: "its buffering off",
    server: (pass) => `location / { ${pass} proxy_buffering off; }`,
    title: AS_SENT,
    text: /^Lines came one by one[^\n]*holds events back\.$/,
  },
  {
    what: "HTTP/1.1 to us, with which its buffer passes each chunk on",
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
    what: "our header ignored",
    server: (pass) => `location / { ${pass} proxy_ignore_headers X-Accel-Buffering; }`,
    title: HELD,
    text:
      /All 10 lines arrived together.*the buffer (takes about \d+ KiB|lets go).*See what to set/s,
  },
  {
    what: "our header ignored for the streams alone",
    server: (pass) =>
      `location / { ${pass} proxy_buffering off; }
       location ~ ^/pipelines/[^/]+/sse$ { ${pass} proxy_ignore_headers X-Accel-Buffering; }`,
    title: HELD,
    text: /All 10 lines arrived together/,
  },
  {
    what: "another nginx in front, which our header does not reach",
    server: (pass) => `location / { ${pass} proxy_buffering off; }`,
    front: (pass) => `location / { ${pass} }`,
    title: HELD,
    text: /All 10 lines arrived together/,
  },
  {
    what: "another nginx in front, which our header reaches",
    server: (pass) => `location / { ${pass} proxy_pass_header X-Accel-Buffering; }`,
    front: (pass) => `location / { ${pass} }`,
    title: AS_SENT,
    text: /heeds their header X-Accel-Buffering/,
  },
  {
    what: "a time limit that is too short",
    server: (pass) => `location / { ${pass} proxy_read_timeout 600ms; }`,
    path: SLOW,
    title: /^The connection was cut/,
    text: /1 of 10 lines came/,
  },
];

/** How many pages are open at the same time. */
const AT_ONCE = 4;

testThatNeeds(
  [systemChromium, systemNginx],
  "/diagnose tells the ways of nginx apart, and opens what helps",
  async () => {
    await using stack = new AsyncDisposableStack();
    const { service, browser } = await open(stack);
    const checks: PromiseSettledResult<void>[] = [];
    // A few at a time: a busy machine must not look like a buffer.
    for (let i = 0; i < cases.length; i += AT_ONCE) {
      const some = cases.slice(i, i + AT_ONCE);
      checks.push(...await Promise.allSettled(some.map((each) => tell(each))));
    }
    for (const check of checks) if (check.status === "rejected") throw check.reason;

    async function tell({ what, server, front, path = QUICK, title, text }: typeof cases[number]) {
      await using stack = new AsyncDisposableStack();
      let nginx = stack.use(await Nginx.start(server(`proxy_pass ${service.url};`)));
      if (front) nginx = stack.use(await Nginx.start(front(`proxy_pass ${nginx.url};`)));
      const { page, complaints } = await watchedPage(browser);
      await page.goto(nginx.url + path);
      const found = await verdict(page);
      if (typeof title === "string") equal(found.title, title, `${what}: ${found.text}`);
      else match(found.title, title, what);
      match(found.text, text, `${what}: ${found.text}`);
      match(await page.innerText("#facts"), /nginx/);
      const help = page.locator("details[data-by='nginx|openresty']");
      equal(await help.getAttribute("open") === null, title === AS_SENT, what);
      // A cut connection is told to the console by the browser itself.
      if (!found.title.includes("cut")) deepEqual(complaints, []);
      await page.close();
    }
  },
);

testInChromium("/diagnose explains a refusal, and can be run again", async () => {
  await using stack = new AsyncDisposableStack();
  const { service, browser } = await open(stack);
  const { page } = await watchedPage(browser);
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
});
