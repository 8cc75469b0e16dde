/**
 * Observations of the documented proxies, all of them at the same time, in front of the real
 * program, which is away for six seconds.
 *
 * @module
 */

import type { Page } from "playwright-core";
import { DOCUMENTED_PROXIES } from "../support/programs/documented_proxies.ts";
import { type DocumentedProxy, startProxy } from "../support/programs/documented_proxy.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import type { Certificate, Proxy } from "../support/programs/proxy.ts";
import { BrowserSources, pipelineOf, protocolOf } from "./browser_sources.ts";
import {
  leave,
  measureDelays,
  openTicket,
  publish,
  requestHeaders,
  soon,
  stallUpload,
} from "./measures.ts";

/** Interval between keep-alives of the service, in milliseconds. */
export const KEEP_ALIVE_MS = 1500;

/** Time without a byte after which the proxies end a stream. Documented: 75 seconds. */
const IDLE_SECONDS = 5;

/** Time that the proxies leave for a body. Documented: 20 seconds, twice that of the service. */
const BODY_SECONDS = 4;

/** Time for which streams are quiet, in milliseconds: that, and Envoy's own limit of 15 seconds. */
const QUIET_MS = 16_000;

/** Time for which the service is away, in milliseconds. */
const AWAY_MS = 6000;

/** Number of streams that fill a pipeline: one for each proxy, and two without a proxy. */
const PIPELINE_SUBSCRIBERS = DOCUMENTED_PROXIES.length + 2;

/** Observations of one proxy. */
export interface Observations {
  url: string;
  /** HTTP version that Chromium speaks to a proxy with TLS, as ALPN names it. */
  protocol: string;
  /** Headers that reach the service, of a client that forges them. */
  headers: Record<string, string>;
  /** URL of a ticket that was requested through the proxy, and the first event that it opens. */
  ticket: { url: string; opens: string };
  /** Delays of events beside a reader without a proxy, in milliseconds, the shortest first. */
  delays: number[];
  /** Time after which the service noticed that a reader had left, in milliseconds. */
  leftMs: number;
  /** First line of the answer to an upload that stalls. */
  stalledUpload: string;
  /** Number of times that a quiet stream was cut. */
  interruptions: number;
  /** Status of the answer to a publisher while the service is away. */
  publishedMeanwhile: number;
  /** Everything that an `EventSource` in Chromium received, before and after that time. */
  received: string[];
}

/** Requirements of an observation. */
export interface Stage {
  certificate: Certificate;
  client: Deno.HttpClient;
  /** Page in Chromium, of another origin than the proxies. */
  page: Page;
}

/**
 * Observes all proxies that are installed; returns the observations by the names of the proxies, or
 * the error of a proxy that could not be observed.
 */
export async function observeProxies(stage: Stage): Promise<Map<string, Observations | Error>> {
  await using stack = new AsyncDisposableStack();
  const data = stack.use(new DataFolder());
  const settings = {
    RUNNEL_KV: data.kv,
    RUNNEL_TRUSTED_PROXIES: "1",
    RUNNEL_KEEPALIVE_MS: String(KEEP_ALIVE_MS),
    RUNNEL_RETRY_MS: "500",
    RUNNEL_BODY_TIMEOUT_MS: String(BODY_SECONDS * 1000 / 2),
    RUNNEL_MAX_PIPELINE_SUBSCRIBERS: String(PIPELINE_SUBSCRIBERS),
    // The page sends credentials, which no page may by default.
    RUNNEL_ALLOW_ORIGINS: await stage.page.evaluate<string>("origin"),
  };
  let program = await Program.start(settings);
  stack.defer(async () => await program[Symbol.asyncDispose]());
  const { url: service } = program;
  const { certificate, client } = stage;
  const installed = DOCUMENTED_PROXIES.filter(({ needs }) => needs.isInstalled);
  const proxies = await forEach(installed, async (documented) => {
    const change = (settings: string) =>
      settings.replaceAll(/\b75(?=s?\b)/g, String(IDLE_SECONDS))
        .replaceAll(/\b20(?=s?\b)/g, String(BODY_SECONDS));
    return stack.use(await startProxy(documented, { certificate, url: service, change }));
  });
  const failures = new Map<string, Error>();
  const through = async <T>(
    observe: (proxy: Proxy, documented: DocumentedProxy) => Promise<T>,
  ): Promise<Map<string, T>> => {
    const left = installed.filter(({ name }) => !failures.has(name));
    const results = await forEach(left, (documented) => {
      const observation = observe(proxies.get(documented.name)!, documented);
      return soon(observation).catch((error: Error) => error);
    });
    for (const [name, result] of results) if (result instanceof Error) failures.set(name, result);
    return results as Map<string, T>;
  };

  const sources = await BrowserSources.open(stage.page, proxies);
  await through(async (_, { name }) => {
    await publish(service, pipelineOf("source", name), "before");
    await sources.receives(name);
  });
  const delays = await measureDelays(service, proxies, client);
  const [headers, tickets, left, stalled] = await Promise.all([
    through((_, documented) => requestHeaders(documented, certificate)),
    through(({ url }) => openTicket(url, client)),
    through(({ url }, { name }) => {
      return leave({
        service,
        url,
        pipeline: pipelineOf("leave", name),
        places: PIPELINE_SUBSCRIBERS,
        client,
      });
    }),
    through(({ url }) => stallUpload(url, certificate)),
    pause(QUIET_MS),
  ]);
  const interruptions = await through((_, { name }) => sources.interruptions(name));

  program.kill("SIGTERM");
  await program.exit();
  const [meanwhile] = await Promise.all([
    through(({ url }) => publish(url, "p_meanwhile", "lost", client)),
    pause(AWAY_MS),
  ]);
  program = await Program.start({ ...settings, PORT: new URL(service).port });
  await through((_, { name }) => publish(service, pipelineOf("source", name), "after"));
  const received = await through((_, { name }) => sources.received(name, '"after"'));
  const protocols = new Map<string, string>();
  for (const [name, { url }] of proxies) {
    if (url.startsWith("https:")) protocols.set(name, await protocolOf(stage.page, url));
  }

  const observations = await through(({ url }, { name }) =>
    Promise.resolve({
      url,
      protocol: protocols.get(name) ?? "",
      headers: headers.get(name)!,
      ticket: tickets.get(name)!,
      delays: delays.get(name)!,
      leftMs: left.get(name)!,
      stalledUpload: stalled.get(name)!,
      interruptions: interruptions.get(name)!,
      publishedMeanwhile: meanwhile.get(name)!,
      received: received.get(name)!,
    })
  );
  return new Map<string, Observations | Error>([...observations, ...failures]);
}

/** Observes something of all proxies at the same time; returns the results by their names. */
async function forEach<T>(
  proxies: readonly DocumentedProxy[],
  observe: (documented: DocumentedProxy) => Promise<T>,
): Promise<Map<string, T>> {
  return new Map(
    await Promise.all(
      proxies.map(async (each): Promise<[string, T]> => [each.name, await observe(each)]),
    ),
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
