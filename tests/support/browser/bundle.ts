/**
 * Packages of npm as modules for browsers.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { TempFolder } from "../programs/temp_folder.ts";

/**
 * Bundles modules for browsers. What several of them need is one module, as it is in an
 * application. The packages must be in the lock file of the tests.
 *
 * @param modules Source code of each module, by its name without an extension. Packages are
 *   imported by specifiers such as `npm:vue@^3.5.45`.
 * @returns The files, by their names. They import each other by relative URLs.
 */
export async function bundleForBrowsers(
  modules: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  await using folder = new TempFolder();
  const entries: string[] = [];
  for (const [name, source] of Object.entries(modules)) {
    entries.push(await folder.write(`${name}.js`, source));
  }
  const bundler = new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "-q",
      "--lock=tests/deno.lock",
      "--platform=browser",
      "--code-splitting",
      `--outdir=${folder.path}/out`,
      ...entries,
    ],
    cwd: new URL("../../..", import.meta.url),
  });
  const { success, stderr } = await bundler.output();
  ok(success, new TextDecoder().decode(stderr));
  const files: Record<string, string> = {};
  for await (const { name } of Deno.readDir(`${folder.path}/out`)) {
    files[name] = await Deno.readTextFile(`${folder.path}/out/${name}`);
  }
  return files;
}
