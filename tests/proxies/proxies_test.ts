import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { launchChromium, systemChromium } from "../support/browser/chromium.ts";
import { DOCUMENTED_PROXIES } from "../support/programs/documented_proxies.ts";
import { createCertificate, openssl } from "../support/programs/proxy.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { TempFolder } from "../support/programs/temp_folder.ts";
import { serveLocally } from "../support/servers/local_server.ts";
import { CLIENT } from "./measures.ts";
import { KEEP_ALIVE_MS, type Observations, observeProxies } from "./observations.ts";

/** Delay that a proxy may add to most events, in milliseconds. */
const PROMPT_MS = 20;

/** Time within which a proxy says at once that a reader has left, in milliseconds. */
const AT_ONCE_MS = 1000;

const needs = [systemChromium, openssl];

// Most of the time is waiting, so the tests share one round of observations.
let observations: Map<string, Observations | Error>;
Deno.test.beforeAll(async () => {
  if (needs.some(({ isInstalled }) => !isInstalled)) return;
  await using folder = new TempFolder();
  const certificate = await createCertificate(folder);
  using client = Deno.createHttpClient({ caCerts: [certificate.pem] });
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  const site = stack.use(serveLocally(() => Promise.resolve(new Response("A page"))));
  await page.goto(site.url);
  observations = await observeProxies({ certificate, client, page });
});

/** Returns the observations of a proxy, or throws what kept it from being observed. */
function read(name: string): Promise<Observations> {
  const observed = observations.get(name);
  return observed instanceof Error ? Promise.reject(observed) : Promise.resolve(observed!);
}

for (const { name, scheme, needs: proxy } of DOCUMENTED_PROXIES) {
  const test = (title: string, check: (observed: Observations) => void) =>
    testWithRequirements(
      [...needs, proxy],
      `The documented ${name} ${title}`,
      async () => check(await read(name)),
      { shares: true },
    );

  test(`passes events on within ${PROMPT_MS} ms`, ({ delays }) => {
    equal(delays.length, 40);
    const [median, most] = [delays[20]!, delays[35]!];
    ok(most < PROMPT_MS, `half of them ${median} ms late, a tenth of them ${most} ms`);
  });

  test("tells the service that a reader has left", ({ leftMs }) => {
    // Apache notices when it writes: one write is answered with a reset, and the next one fails.
    const limit = name === "Apache" ? 2 * KEEP_ALIVE_MS + AT_ONCE_MS : AT_ONCE_MS;
    ok(leftMs < limit, `${leftMs} ms`);
  });

  test("keeps a quiet stream open", ({ interruptions }) => {
    equal(interruptions, 0);
  });

  test("brings an EventSource back after six seconds without the service", ({ received }) => {
    deepEqual(received, ['"before"', '"after"']);
  });

  test("answers a publisher with an error while the service is away", (observed) => {
    ok([502, 503, 504].includes(observed.publishedMeanwhile), String(observed.publishedMeanwhile));
  });

  test("passes on the address of the client, its scheme and the host", ({ headers }) => {
    equal(headers["x-forwarded-for"]!.split(",").at(-1)!.trim(), CLIENT);
    equal(headers["x-forwarded-proto"], scheme ?? "forged");
    match(headers["host"]!, /^127\.0\.0\.1:\d+$/);
  });

  test("gives a ticket the URL at which clients reach it", ({ ticket, url }) => {
    equal(new URL(ticket.url).origin, `${scheme ?? "https"}://${new URL(url).host}`);
    equal(ticket.opens, "runnel.live");
  });

  if (scheme === "https") {
    test("speaks HTTP/2", ({ protocol }) => equal(protocol, "h2"));
  }

  // Varnish leaves this to the proxy that terminates TLS.
  if (name !== "Varnish") {
    test("answers an upload that stalls with 408", ({ stalledUpload }) => {
      match(stalledUpload, /^HTTP\/1\.1 408 /);
    });
  }
}
