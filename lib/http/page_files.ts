/**
 * The pages for people, and what they are made of: plain files in `pages/`.
 *
 * @module
 */

/** The files' types, by how their names end. */
const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/**
 * A page, or a file that pages use.
 *
 * @param name The name of a file in `pages/`.
 * @returns The answer, or `null` if there is no such file.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(await readPageFile("../http/app.ts"), null);
 * ```
 */
export async function readPageFile(name: string): Promise<Response | null> {
  const type = TYPES[/^[a-z_]+\.([a-z]+)$/.exec(name)?.[1] ?? ""];
  if (!type) return null;
  try {
    const body = await Deno.readTextFile(new URL(`../pages/${name}`, import.meta.url));
    return new Response(body, { headers: { "Content-Type": type, "Cache-Control": "no-cache" } });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
