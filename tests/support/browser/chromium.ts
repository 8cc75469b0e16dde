/**
 * The system's Chromium, for tests that need a real browser.
 *
 * @module
 */

import { type Browser, chromium } from "playwright-core";
import { type Requirement, testWithRequirements } from "../programs/requirements.ts";

const CHROMIUM = "/usr/bin/chromium";

/** Requirements of a test that starts Chromium. */
export const systemChromium: Requirement = {
  isInstalled: await Deno.stat(CHROMIUM).then(() => true, () => false),
  install: "apt-get install -y chromium",
};

/** Starts Chromium. On request, it keeps pages in memory for the user to come back to. */
export function launchChromium({ keepsPages = false } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    ignoreDefaultArgs: keepsPages ? ["--disable-back-forward-cache"] : [],
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

/** Registers a test. If Chromium is missing, it is ignored, with the line that installs it. */
export function testInChromium(name: string, fn: () => Promise<void>): void {
  testWithRequirements([systemChromium], name, fn);
}
