/**
 * A page in a real browser, watched for what must not happen in any.
 *
 * @module
 */

import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { launchChromium, systemChromium } from "./chromium.ts";

// Starting one takes longer than most tests do, so those of a file share it.
let browser: Browser | null = null;
Deno.test.beforeAll(async () => {
  if (systemChromium.isThere) browser = await launchChromium();
});
Deno.test.afterAll(async () => await browser?.close());

/** A tab with cookies, storage and settings of its own. */
export class Tab implements AsyncDisposable {
  /**
   * What went wrong: errors in the console, breaches of the policy among them, and what was asked
   * of other hosts.
   */
  readonly troubles: string[] = [];
  /** What drives it. */
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.troubles.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") this.troubles.push(message.text());
    });
    page.on("request", (request) => {
      const { hostname, protocol } = new URL(request.url());
      const isLocal = hostname === "127.0.0.1" || protocol === "blob:" || protocol === "data:";
      if (!isLocal) this.troubles.push(`It asks ${hostname}`);
    });
  }

  /** Opens an empty one. */
  static async open(options: BrowserContextOptions = {}): Promise<Tab> {
    const context = await browser!.newContext(options);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    return new Tab(await context.newPage());
  }

  /** The text of an element, on one line. */
  async text(selector: string): Promise<string> {
    return oneLine(await this.page.locator(selector).innerText());
  }

  /** The texts of all elements that match. */
  async texts(selector: string): Promise<string[]> {
    return (await this.page.locator(selector).allInnerTexts()).map(oneLine);
  }

  /** What the clipboard holds. */
  async clipboard(): Promise<string> {
    return await this.page.evaluate<string>("navigator.clipboard.readText()");
  }

  /** What hinders people from using it, by axe's rules; empty if nothing does. */
  async barriers(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    return await this.page.evaluate<string[]>(
      `axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => id + ": " + html + " " + failureSummary)))`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
