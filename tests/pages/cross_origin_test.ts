import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { launchChromium, testInChromium } from "../support/browser/chromium.ts";
import { openWatchedPage } from "../support/browser/watched_page.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { ServedService } from "../support/servers/served_service.ts";

/** Headers that real pages send: those of the service, and those that libraries add. */
const HEADERS = {
  "Content-Type": "application/json",
  "Idempotency-Key": "once",
  "Authorization": "Bearer a-token-of-a-publisher",
  "Cache-Control": "no-cache",
  "X-Requested-With": "XMLHttpRequest",
  "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "tracestate": "a=b",
  "baggage": "a=b",
  "sentry-trace": "1-2-1",
};

testInChromium(
  "A page of another origin publishes and reads with the headers that libraries add",
  async () => {
    await using service = await ServedService.start({
      RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher",
    });
    await using site = serveLocally(() =>
      Promise.resolve(
        new Response("<title>Test</title>", { headers: { "Content-Type": "text/html" } }),
      )
    );
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const { page, complaints } = await openWatchedPage(browser);
    await page.goto(site.url);
    const { status, read } = await page.evaluate(async ({ url, headers }) => {
      const body = JSON.stringify({ pipeline: "p_a", channel: "events", payload: 1 });
      const { status } = await fetch(`${url}/ingest`, { method: "POST", headers, body });
      const { "Content-Type": _, ...others } = headers;
      const stream = await fetch(`${url}/pipelines/p_a/sse`, {
        headers: { ...others, "Last-Event-ID": "AAAAAAAAAAA-1" },
      });
      const { value } = await stream.body!.pipeThrough(new TextDecoderStream()).getReader().read();
      return { status, read: value!.startsWith("retry: ") };
    }, { url: service.url, headers: HEADERS });
    deepEqual([status, read], [202, true]);
    deepEqual(complaints.filter((complaint) => !complaint.includes("404")), []);
  },
);
