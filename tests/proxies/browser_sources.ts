/**
 * Event sources in Chromium, one through each proxy, in a page of another origin.
 *
 * @module
 */

import type { Page } from "playwright-core";
import type { Proxy } from "../support/programs/proxy.ts";
import { eventually } from "../support/wait.ts";

/** Returns a pipeline of a proxy. */
export function pipelineOf(purpose: string, name: string): string {
  return `p_${purpose}_${name.replaceAll(" ", "_")}`;
}

/** The event sources of a page. */
export class BrowserSources {
  readonly #page: Page;

  private constructor(page: Page) {
    this.#page = page;
  }

  /**
   * Opens an `EventSource` of two pipelines with credentials through each proxy. Streams of one
   * pipeline are observed without a browser.
   */
  static async open(page: Page, proxies: Map<string, Proxy>): Promise<BrowserSources> {
    const sources = new BrowserSources(page);
    const urls = [...proxies].map(([name, { url }]) => {
      const pipeline = pipelineOf("source", name);
      return [name, `${url}/sse?pipeline=${pipeline}&pipeline=p_other`, `${pipeline}/said`];
    });
    await page.evaluate(`
      received = {};
      interruptions = {};
      sources = {};
      for (const [name, url, said] of ${JSON.stringify(urls)}) {
        received[name] = [];
        interruptions[name] = 0;
        sources[name] = new EventSource(url, { withCredentials: true });
        sources[name].onerror = () => interruptions[name]++;
        for (const type of [said, "runnel.gap"]) {
          sources[name].addEventListener(type, ({ data }) => received[name].push(data));
        }
      }
    `);
    return sources;
  }

  /** Resolves when a source has received an event. */
  async receives(name: string): Promise<void> {
    const received = `received[${JSON.stringify(name)}].length > 0`;
    await eventually("the source receives events", () => this.#page.evaluate<boolean>(received));
  }

  /** Returns how many times the connection of a source has been lost so far. */
  async interruptions(name: string): Promise<number> {
    return await this.#page.evaluate<number>(`interruptions[${JSON.stringify(name)}]`);
  }

  /** Returns what a source has received, once that includes `last` or the source has given up. */
  async received(name: string, last: string): Promise<string[]> {
    const [source, end] = [name, last].map((text) => JSON.stringify(text));
    await eventually(
      `${name} has delivered ${last} or given up`,
      () =>
        this.#page.evaluate<boolean>(
          `received[${source}].includes(${end}) || sources[${source}].readyState === 2`,
        ),
    );
    return await this.#page.evaluate<string[]>(`received[${source}]`);
  }
}

/** Returns the HTTP version that Chromium speaks to a server, as ALPN names it. */
export async function protocolOf(page: Page, url: string): Promise<string> {
  await page.goto(`${url}/healthz`);
  return await page.evaluate<string>(
    "performance.getEntriesByType('navigation')[0].nextHopProtocol",
  );
}
