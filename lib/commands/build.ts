/**
 * Builds the client of `lib/client` for pages: `deno task build`.
 *
 * Pages cannot run TypeScript, and the service does not transform what it serves. So each module
 * without its types is a file of `lib/pages/client`, which a test compares with its source.
 *
 * @module
 */

import { readdir, readFile, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { runCommand } from "../base/mod.ts";

const USAGE = `Builds lib/pages/client from lib/client.

  deno task build

  -h, --help  print this help`;

const SOURCE = new URL("../client/", import.meta.url);
const TARGET = new URL("../pages/client/", import.meta.url);

/** Modules that pages import, or start as a worker. */
const ENTRIES = ["mod.ts", "shared.ts", "shared_worker.ts"];

/** Imports of the room itself, with their quotes. */
const OWN_IMPORT = /(?<=\bfrom )"\.\/(\w+)\.ts"/g;

/** The same, of a module that is built. */
const BUILT_IMPORT = /(?<=\bfrom )"\.\/(\w+)\.js"/g;

/**
 * Builds all modules that pages can use: those that import from no other room, and contain more
 * than types.
 *
 * @returns The text of each file, by its name, formatted.
 */
export async function buildClient(): Promise<Map<string, string>> {
  const names = (await readdir(SOURCE)).filter((name) => name.endsWith(".ts"));
  const sources = new Map<string, string>();
  for (const name of names) sources.set(name, await readFile(new URL(name, SOURCE), "utf8"));
  const files = new Map<string, string>();
  for (const [name, source] of sources) {
    if (importsOtherRoom(name, sources)) continue;
    const code = stripTypes(source);
    if (code === "") continue;
    // For pages, its types are those of its source.
    const types = `/* @ts-self-types="../../client/${name}" */\n`;
    const origin = `// @ts-nocheck: built from lib/client/${name} by "deno task build".\n`;
    const imports = ENTRIES.includes(name) ? importsOfAll(name, sources) : "";
    files.set(name.replace(/ts$/, "js"), await format(`${types}${origin}\n${imports}${code}`));
  }
  return files;
}

/** Whether a module imports from another room, itself or by what it imports. */
function importsOtherRoom(name: string, sources: ReadonlyMap<string, string>): boolean {
  const code = stripTypes(sources.get(name)!);
  if (/\bfrom "\.\.\//.test(code)) return true;
  return [...code.matchAll(BUILT_IMPORT)].some(([, found]) =>
    importsOtherRoom(`${found}.ts`, sources)
  );
}

/**
 * Returns imports of all modules that an entry needs. A browser requests them at once, and not level
 * by level, each after a round trip.
 */
function importsOfAll(entry: string, sources: ReadonlyMap<string, string>): string {
  const names = new Set([entry]);
  for (const name of names) {
    for (const [, found] of stripTypes(sources.get(name)!).matchAll(BUILT_IMPORT)) {
      names.add(`${found}.ts`);
    }
  }
  names.delete(entry);
  const imports = [...names].sort().map((name) => `import "./${name.replace(/ts$/, "js")}";\n`);
  return `// All modules, for a browser to request them at once.\n${imports.join("")}\n`;
}

/** Returns a module as JavaScript, without types and documentation. Without code, it is empty. */
function stripTypes(source: string): string {
  return stripTypeScriptTypes(source).replaceAll(/^ *\/\*\*[^]*?\*\/ *\n/gm, "")
    .replaceAll(OWN_IMPORT, '"./$1.js"').replaceAll(/^\s*\/\/ deno-lint-ignore.*\n/gm, "").trim();
}

async function format(code: string): Promise<string> {
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "js", "--line-width", "100", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = formatter.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { success, stdout } = await formatter.output();
  if (!success) throw new Error("Cannot build the client: its code cannot be formatted");
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  await runCommand({ usage: USAGE, options: {} }, async () => {
    for (const [name, text] of await buildClient()) await writeFile(new URL(name, TARGET), text);
  });
}
