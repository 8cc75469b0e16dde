/**
 * CommonJS packages of Deno's npm cache, as one module for browsers.
 *
 * @module
 */

import { createRequire } from "node:module";

/**
 * Bundles packages into an ES module whose `load(name)` returns the exports of one of them. They
 * must have been imported, so that the cache contains them.
 *
 * @param packages Specifiers, by the names under which they are loaded.
 */
export async function bundleCommonJs(packages: Readonly<Record<string, string>>): Promise<string> {
  const files = new Map<string, string>();
  const add = async (url: string): Promise<void> => {
    if (files.has(url)) return;
    files.set(url, "");
    const source = await Deno.readTextFile(new URL(url));
    const require = createRequire(url);
    const required: Record<string, string> = {};
    for (const [, name] of source.matchAll(/\brequire\(["']([^"']+)["']\)/g)) {
      required[name!] = `file://${require.resolve(name!)}`;
    }
    files.set(url, `[${JSON.stringify(required)}, (module, exports, require) => {${source}\n}]`);
    for (const each of Object.values(required)) await add(each);
  };
  const entries = Object.fromEntries(
    Object.entries(packages).map(([name, specifier]) => [name, import.meta.resolve(specifier)]),
  );
  for (const url of Object.values(entries)) await add(url);
  const table = [...files].map(([url, file]) => `${JSON.stringify(url)}: ${file}`).join(",\n");
  return `
    const process = { env: { NODE_ENV: "development" } };
    const files = {${table}};
    const loaded = {};
    function loadFile(url) {
      if (loaded[url]) return loaded[url].exports;
      const [required, run] = files[url];
      const module = loaded[url] = { exports: {} };
      run(module, module.exports, (name) => loadFile(required[name]));
      return module.exports;
    }
    const entries = ${JSON.stringify(entries)};
    export const load = (name) => loadFile(entries[name]);
  `;
}
