/**
 * The pages for people and the files that they load: plain files in the folders
 * of `pages/`.
 *
 * @module
 */

/**
 * The files that are served, by folder. A name has no dot except before its
 * extension, so that no path leaves its folder.
 */
const SERVED = /^(?:api|client|diagnose|shared|start|viewer)\/[a-z_]+\.([a-z]+)$/;

/** The media types of files, by file name extension. */
const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/**
 * Reads a page, or a file that pages use.
 *
 * @param name Folder and name of a file in `pages/`, with `/` in between.
 * @returns The response, or `null` if no such file is served.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(await readPageFile("shared/../app.ts"), null);
 * ```
 */
export async function readPageFile(name: string): Promise<Response | null> {
  const type = TYPES[SERVED.exec(name)?.[1] ?? ""];
  if (!type) return null;
  try {
    const body = await Deno.readTextFile(new URL(`../pages/${name}`, import.meta.url));
    return new Response(body, { headers: { "Content-Type": type, "Cache-Control": "no-cache" } });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
