/**
 * The files of `deno task workflow`: components, and JSON for them.
 *
 * @module
 */

import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../base/mod.ts";
import type { Component } from "../workflow/mod.ts";

/** Error of a file that is no valid module, or that throws before it exports a component. */
export class LoadError extends Error {}

/** Resolves a path from the folder of the user: `deno task` runs in the folder of deno.json. */
function resolvePath(file: string): string {
  return resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), file);
}

/** Reads a JSON file; `undefined` without one. */
export async function readJson(file: string | undefined): Promise<unknown> {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await Deno.readTextFile(resolvePath(file)));
  } catch (error) {
    throw new UsageError(`Cannot read ${file}: ${(error as Error).message}`);
  }
}

/**
 * Reads a JSON file with the props of each step by its name, or of the only one.
 *
 * @param names The names of the steps.
 */
export async function readProps(
  file: string | undefined,
  names: readonly string[],
): Promise<Record<string, Record<string, unknown>>> {
  const props = await readJson(file) ?? {};
  const isObject = (value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(props)) throw new UsageError(`Cannot use ${file}: expected a JSON object`);
  if (names.length === 1) return { [names[0]!]: props as Record<string, unknown> };
  for (const [name, values] of Object.entries(props)) {
    if (names.includes(name) && isObject(values)) continue;
    throw new UsageError(
      `Cannot use ${file}: ${name}: expected props by the name of a step: ${names.join(", ")}`,
    );
  }
  return props as Record<string, Record<string, unknown>>;
}

/** Loads the component that a file exports. */
export async function loadComponent(file: string): Promise<Component> {
  const url = pathToFileURL(resolvePath(file));
  if (!await Deno.stat(url).then(({ isFile }) => isFile, () => false)) {
    throw new UsageError(`Cannot run ${file}: there is no such file`);
  }
  let module;
  try {
    module = await import(url.href);
  } catch (cause) {
    throw new LoadError(`Cannot load ${file}:`, { cause });
  }
  if (typeof module.default?.run === "function") return module.default;
  throw new UsageError(
    `Cannot run ${file}: expected export default defineComponent({ async run({ steps, $ }) { … } })`,
  );
}

/** Returns the name of the step of a file. */
export function nameOf(file: string): string {
  return basename(file, extname(file));
}
