/**
 * One Chromium for all tests of a file: to start it takes longer than most tests.
 *
 * @module
 */

import type { Browser } from "playwright-core";
import { launchChromium, systemChromium } from "./chromium.ts";

let browser: Browser | null = null;
Deno.test.beforeAll(async () => {
  if (systemChromium.isInstalled) browser = await launchChromium();
});
Deno.test.afterAll(async () => await browser?.close());

/** Returns the browser, in a test that requires it. Each page of it is to be closed. */
export function sharedChromium(): Browser {
  return browser!;
}
