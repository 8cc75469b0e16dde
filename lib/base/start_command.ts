/**
 * The command that starts the program with more permissions than those of `deno.json`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** Options for {@linkcode startCommand}. */
export interface StartCommandOptions {
  /** Environment variables to set. @default {{}} */
  settings?: Record<string, string>;
  /** Folders to read besides those of the program. */
  read: readonly string[];
  /** Folders to write. @default {[]}, for those of `deno.json` */
  write?: readonly string[];
}

/**
 * Returns a shell command that starts the program. An option `--allow-read` takes the
 * place of the list in `deno.json`, so it names what the program itself reads as well.
 */
export function startCommand({ settings = {}, read, write = [] }: StartCommandOptions): string {
  // It need not be the folder in which the program was started.
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const variables = Object.entries(settings).map(([name, value]) => `${name}=${quote(value)}`);
  const own = ["lib", "deno.json"].map((name) => root + name);
  return [
    ...variables,
    "deno run -q -P",
    `--allow-read=${list([...read, ...own])}`,
    ...write.length > 0 ? [`--allow-write=${list(write)}`] : [],
    quote(`${root}main.ts`),
  ].join(" ");
}

function list(paths: readonly string[]): string {
  return quote([...new Set(paths)].join());
}

/** Quotes a text as one word of a shell command. */
function quote(text: string): string {
  return /^[\w./:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
