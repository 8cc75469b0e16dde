/**
 * The system's Chromium, for tests that need a real browser.
 *
 * @module
 */

import { type Browser, chromium } from "playwright-core";
import { type Requirement, testWithRequirements } from "../programs/requirements.ts";

const CHROMIUM = "/usr/bin/chromium";

/** What a test that starts it needs. */
export const systemChromium: Requirement = {
  isInstalled: await Deno.stat(CHROMIUM).then(() => true, () => false),
  install: "apt-get install -y chromium",
};

/** Starts the browser. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Registers a test that is ignored, with the line that helps, where there is no Chromium. */
export function testInChromium(name: string, fn: () => Promise<void>): void {
  testWithRequirements([systemChromium], name, fn);
}
