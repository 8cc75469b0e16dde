import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { launchChromium, testInChromium } from "../support/browser/chromium.ts";
import { FIRST_PATHS } from "../support/certificates/certificates.ts";
import { DataFolder, Program, startCommandReading } from "../support/programs/program.ts";
import { dirname } from "node:path";

const STREAMS = 30;

testInChromium(
  `HTTPS lets one page of a browser have ${STREAMS} streams, and load another file`,
  async () => {
    await using folder = new DataFolder();
    await using program = await Program.start({
      RUNNEL_KV: folder.kv,
      RUNNEL_MAX_SUBSCRIBERS: "1000",
      RUNNEL_TLS_CERT: FIRST_PATHS.cert,
      RUNNEL_TLS_KEY: FIRST_PATHS.key,
    }, startCommandReading(dirname(FIRST_PATHS.cert)));
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(`${program.url}/llms.txt`);
    const found = await page.evaluate<{ live: number; events: string[]; protocols: string[] }>(`
      (async () => {
        const streams = Array.from({ length: ${STREAMS} }, (_, i) => {
          const source = new EventSource("/pipelines/p_" + i + "/sse");
          const live = new Promise((resolve) => source.addEventListener("runnel.live", resolve));
          const event = new Promise((resolve) =>
            source.addEventListener("events", ({ data }) => resolve(data)));
          return { source, live, event };
        });
        await Promise.all(streams.map(({ live }) => live));
        await Promise.all(streams.map((_, i) =>
          fetch("/ingest/p_" + i + "/events", { method: "POST", body: String(i) })));
        const events = await Promise.all(streams.map(({ event }) => event));
        const live = streams.filter(({ source }) => source.readyState === 1).length;
        const protocols = performance.getEntries().map(({ nextHopProtocol }) => nextHopProtocol);
        return { live, events, protocols: [...new Set(protocols.filter(Boolean))] };
      })()`);
    deepEqual(found, {
      live: STREAMS,
      events: Array.from({ length: STREAMS }, (_, index) => JSON.stringify(String(index))),
      protocols: ["h2"],
    });
  },
);
