import { match } from "node:assert/strict";
import type { Browser } from "playwright-core";
import { launchChromium, systemChromium } from "../support/browser/chromium.ts";
import { openWatchedPage } from "../support/browser/watched_page.ts";
import { DOCUMENTED_PROXIES } from "../support/programs/documented_proxies.ts";
import { fit, startProxy } from "../support/programs/documented_proxy.ts";
import { type Certificate, createCertificate, openssl } from "../support/programs/proxy.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { ServedService } from "../support/servers/served_service.ts";
import { PATIENCE_MS } from "../support/wait.ts";

/** Maximum number of times that a test of the page is repeated. */
const MAX_REPEATS = 4;

/** A proxy whose settings lack something, and the verdict of the page on it. */
interface Case {
  name: string;
  title: string;
  change: (settings: string) => string;
  /** Whether the page tests a quiet stream as well. */
  isQuiet?: boolean;
  verdict: RegExp;
  text: RegExp;
}

const cases: Case[] = [
  {
    name: "HAProxy without TLS",
    title: "names the delay of HAProxy without http-no-delay",
    change: (settings) => fit(settings, ["    option http-no-delay\n", ""]),
    verdict: /^Something on the way delays events by about (1[5-9]|2[0-4])\d ms$/,
    text: /HAProxy does so.*what to set/s,
  },
  {
    name: "HAProxy without TLS",
    title: "says that events arrive as sent through the documented HAProxy",
    change: (settings) => settings,
    verdict: /^Events arrive as sent$/,
    text: /^Lines came one by one.*holds events back\.$/,
  },
  {
    name: "Apache",
    title: "does not blame Apache's compression, which passes each event on",
    change: (settings) =>
      fit(settings, [/^SetEnvIf.*$/, "AddOutputFilterByType DEFLATE text/event-stream"])
        .replace("retry=0 timeout=75 flushpackets=on", "retry=0"),
    verdict: /^Events arrive as sent$/,
    text: /compresses the stream \(gzip\).*you need not change anything\.$/s,
  },
  {
    name: "Varnish",
    title: "finds that Varnish holds all events back when it compresses",
    change: (settings) =>
      fit(settings, ["return (pipe)", "return (pass)"]) +
      "sub vcl_backend_response { set beresp.do_gzip = true; }\n",
    verdict: /^Something on the way holds events back for at least \d/,
    text: /All 10 lines arrived together.*A long poll passes.*See how to poll/s,
  },
  {
    name: "Envoy",
    title: "finds that Envoy cuts streams after 15 seconds",
    change: (settings) => fit(settings, [/^ +timeout: 0s\n/, ""]),
    isQuiet: true,
    verdict: /^Something on the way cuts streams after 15 seconds$/,
    text: /limits the duration of an answer as a whole/,
  },
];

let browser: Browser | undefined;
let certificate: Certificate;
const stack = new AsyncDisposableStack();
Deno.test.beforeAll(async () => {
  if (!systemChromium.isInstalled || !openssl.isInstalled) return;
  certificate = await createCertificate(stack.use(new TempFolder()));
  browser = stack.adopt(await launchChromium(), (browser) => browser.close());
});
Deno.test.afterAll(() => stack.disposeAsync());

for (const { name, title, change, isQuiet = false, verdict, text } of cases) {
  const proxy = DOCUMENTED_PROXIES.find((each) => each.name === name)!;
  testWithRequirements([systemChromium, openssl, proxy.needs], `/diagnose ${title}`, async () => {
    await using service = await ServedService.start();
    await using running = await startProxy(proxy, { certificate, url: service.url, change });
    const { page } = await openWatchedPage(browser!, { ignoreHTTPSErrors: true });
    await page.goto(`${running.url}/diagnose`);
    await page.waitForSelector("#again:enabled");
    const quiet = page.locator("#quiet");
    if (isQuiet) await quiet.click();
    // A machine that is busy with other tests may hide what a proxy does.
    for (let i = 0; i < MAX_REPEATS; i++) {
      await page.waitForSelector("#again:enabled", { timeout: 2 * PATIENCE_MS });
      if (verdict.test(await page.innerText("#title"))) break;
      await (isQuiet ? quiet : page.locator("#again")).click();
    }
    await page.waitForSelector("#again:enabled", { timeout: 2 * PATIENCE_MS });
    match(await page.innerText("#title"), verdict, await page.innerText("#text"));
    match(await page.innerText("#text"), text);
    await page.close();
  }, { shares: true });
}
