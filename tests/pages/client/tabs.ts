/**
 * Tabs in a real browser that share a stream, on a service of their own.
 *
 * @module
 */

import { deepStrictEqual as deepEqual } from "node:assert/strict";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { type Clock, systemClock } from "../../../lib/base/clock.ts";
import type { SharedState } from "../../../lib/client/shared_types.ts";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { type ServedTestService, serveService } from "../../support/servers/serve_service.ts";
import { eventually } from "../../support/wait.ts";

/** A page that subscribes to the pipelines of its address, and records what it receives. */
const PAGE = `<!DOCTYPE html><title>Tab</title><script type="module">
  const { subscribe } = await import("/assets/client/shared.js");
  const query = new URLSearchParams(location.search);
  const text = (name) => query.get(name) ?? undefined;
  globalThis.received = [];
  globalThis.returns = 0;
  addEventListener("pageshow", ({ persisted }) => returns += persisted ? 1 : 0);
  globalThis.states = [];
  const record = (event) => received.push(event);
  globalThis.subscription = subscribe(location.origin, {
    pipelines: query.getAll("pipeline"),
    channels: query.getAll("channel"),
    history: text("history"),
    token: text("token"),
    share: text("share"),
    worker: text("worker"),
    resumeKey: text("resumeKey"),
    onEvent: record, onGap: record, onEnd: record, onLive: record,
    onState: (state) => states.push(state),
  });
</script>`;

/** Options for {@linkcode Tabs.open}. */
export interface TabOptions {
  pipelines?: readonly string[];
  channels?: readonly string[];
  history?: string;
  token?: string;
  worker?: string;
  resumeKey?: string;
}

/** A service and a browser context whose tabs have its origin. */
export class Tabs implements AsyncDisposable {
  readonly service: ServedTestService<Clock>;
  readonly context: BrowserContext;
  /** Status that the service answers all requests for streams with, as a proxy would; 0: none. */
  failure = 0;
  private constructor(service: ServedTestService<Clock>, context: BrowserContext) {
    this.service = service;
    this.context = context;
  }

  /** Starts both. The browser is that of all tests, if no other one is given. */
  static async start(
    settings: Record<string, string> = {},
    browser: Browser = sharedChromium(),
  ): Promise<Tabs> {
    let failing = () => 0;
    const service = await serveService({
      settings,
      clock: systemClock,
      random: Math.random,
      guard: (request) => {
        const { pathname } = new URL(request.url);
        if (pathname === "/tab") {
          return new Response(PAGE, { headers: { "Content-Type": "text/html" } });
        }
        const isStream = pathname.endsWith("/sse");
        return isStream && failing() ? new Response("Bad Gateway", { status: failing() }) : null;
      },
    });
    const tabs = new Tabs(service, await browser.newContext());
    failing = () => tabs.failure;
    return tabs;
  }

  /** Opens a tab. */
  async open(options: TabOptions = {}): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(this.urlOf(options));
    return page;
  }

  /** Returns the address of a tab. */
  urlOf({ pipelines = ["p_a"], channels = [], ...others }: TabOptions = {}): string {
    const query = new URLSearchParams([
      ...pipelines.map((each) => ["pipeline", each]),
      ...channels.map((each) => ["channel", each]),
      ...Object.entries(others),
    ]);
    return `${this.service.url}/tab?${query}`;
  }

  /** Number of streams that the service sends. */
  get streams(): number {
    return this.service.hub.stats.subscribers;
  }

  async publish(pipeline: string, ...payloads: unknown[]): Promise<void> {
    for (const payload of payloads) await this.service.publish(pipeline, "orders", payload);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.context.close();
    await this.service[Symbol.asyncDispose]();
  }
}

/** Returns the state of a tab. */
export function stateOf(page: Page): Promise<SharedState> {
  return page.evaluate<SharedState>("globalThis.subscription?.state ?? { name: 'none' }");
}

/** Resolves when tabs are live on the stream that they share. */
export async function untilShared(...pages: Page[]): Promise<void> {
  for (const page of pages) {
    await eventually("a tab shares", async () => {
      const { name, isShared } = await stateOf(page);
      return name === "live" && isShared;
    });
  }
}

/** Returns the payloads that a tab has received, in order. */
export function payloadsOf(page: Page): Promise<unknown[]> {
  return page.evaluate<unknown[]>(
    "received.filter(({ type }) => type === 'event').map(({ payload }) => payload)",
  );
}

/** Checks that tabs have received these payloads, each once and in order. */
export async function expectPayloads(pages: readonly Page[], payloads: unknown[]): Promise<void> {
  for (const page of pages) {
    await eventually(
      `${payloads.length} events`,
      async () => (await payloadsOf(page)).length >= payloads.length,
    );
    deepEqual(await payloadsOf(page), payloads);
  }
}

/**
 * Halts a tab, so that it runs no task, as one that a browser has frozen. A browser that is driven
 * takes all its tabs for visible, and does not freeze them.
 *
 * @returns A function that lets it go on.
 */
export async function freeze(page: Page): Promise<() => Promise<void>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Debugger.enable");
  const paused = new Promise((resolve) => session.once("Debugger.paused", resolve));
  await session.send("Debugger.pause");
  // It pauses at the next statement.
  void session.send("Runtime.evaluate", { expression: "0" });
  await paused;
  return async () => {
    await session.send("Debugger.resume");
    await session.detach();
  };
}
