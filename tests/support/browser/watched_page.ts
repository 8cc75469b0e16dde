/**
 * A page in a browser, with all that goes wrong in it.
 *
 * @module
 */

import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

/** A page, and what its console and its policy complained of. */
export interface WatchedPage {
  page: Page;
  complaints: string[];
}

/** Opens an empty page. Violations of its Content-Security-Policy are complaints of the console. */
export async function openWatchedPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const page = await browser.newPage(options);
  const complaints: string[] = [];
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  return { page, complaints };
}

/** What axe finds wrong with a page as it is now. */
export async function accessibilityViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<
    { violations: { id: string; nodes: { html: string }[] }[] }
  >(
    "axe.run()",
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
