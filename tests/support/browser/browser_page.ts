/**
 * A page in a real browser that records errors and requests to other hosts.
 *
 * @module
 */

import axe from "axe-core";
import type { BrowserContextOptions, Page } from "playwright-core";
import { sharedChromium } from "./shared_chromium.ts";

/** A page with its own cookies, storage and settings. */
export class BrowserPage implements AsyncDisposable {
  /**
   * Errors in the console, including violations of the Content-Security-Policy, and requests to
   * other hosts.
   */
  readonly errors: string[] = [];
  /** Page of Playwright. */
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(message.text());
    });
    page.on("request", (request) => {
      const { hostname, protocol } = new URL(request.url());
      const isLocal = hostname === "127.0.0.1" || protocol === "blob:" || protocol === "data:";
      if (!isLocal) this.errors.push(`It asks ${hostname}`);
    });
  }

  /** Opens an empty page. */
  static async open(options: BrowserContextOptions = {}): Promise<BrowserPage> {
    const context = await sharedChromium().newContext(options);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    return new BrowserPage(await context.newPage());
  }

  /** Returns the text of an element, on one line. */
  async text(selector: string): Promise<string> {
    return oneLine(await this.page.locator(selector).innerText());
  }

  /** Returns the texts of all elements that match. */
  async texts(selector: string): Promise<string[]> {
    return (await this.page.locator(selector).allInnerTexts()).map(oneLine);
  }

  /** Returns the text in the clipboard. */
  async clipboard(): Promise<string> {
    return await this.page.evaluate<string>("navigator.clipboard.readText()");
  }

  /** Returns violations of the accessibility rules of axe. */
  async accessibilityViolations(): Promise<string[]> {
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
