import { deepStrictEqual as deepEqual, match, ok } from "node:assert/strict";

const LIB = new URL("../../lib/", import.meta.url);
const PAGES = new URL("pages/", LIB);

/** The folders that each folder of `lib/pages/` may import from, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  shared: [],
  api: ["shared"],
  client: ["shared"],
  start: ["client", "shared"],
  viewer: ["client", "shared"],
  diagnose: ["client", "shared"],
};

/** Beginning of a file that `deno task build` wrote: its source is checked instead. */
const BUILT = /^\/\* @ts-self-types="\.\.\/\.\.\/client\/\w+\.ts" \*\/\n/;

/** The text of the files below a folder whose names match, by URL. */
async function read(folder: URL, name: RegExp): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(entry.name, folder);
    if (entry.isDirectory) {
      for (const file of await read(new URL(`${url}/`), name)) files.set(...file);
    } else if (name.test(entry.name)) files.set(url.href, await Deno.readTextFile(url));
  }
  return files;
}

/** The imports of a file, those of types included, without the examples in its comments. */
function importsOf(text: string): string[] {
  const code = text.replace(/^\s*\* import .*$/gm, "");
  return [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)].map(([, found]) => found!);
}

Deno.test("Files of lib/pages import only from the folders below them", async () => {
  let count = 0;
  for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
    for (const [url, text] of await read(new URL(`${folder}/`, PAGES), /\.js$/)) {
      for (const found of importsOf(text)) {
        const path = new URL(found, url).href.replace(PAGES.href, "");
        match(path, /^[a-z]+\/[a-z_]+\.js$/, url);
        ok([folder, ...allowed].includes(path.split("/")[0]!), `${url} imports ${found}`);
        count++;
      }
    }
  }
  ok(count > 40);
});

Deno.test("Examples import nothing from lib/pages", async () => {
  const files = await read(new URL("examples/", PAGES), /\.m?js$/);
  for (const [url, text] of files) {
    match(text, /^\/\/ @ts-check\n/, url);
    deepEqual(importsOf(text).filter((found) => found.startsWith(".")), [], url);
  }
});

Deno.test("Files of lib/pages are type-checked, and need nothing but a browser", async () => {
  for (const folder of Object.keys(MAY_IMPORT)) {
    for (const [url, text] of await read(new URL(`${folder}/`, PAGES), /\.js$/)) {
      if (BUILT.test(text)) continue;
      match(text, /^\/\/ @ts-check\n/, url);
      deepEqual(
        text.match(/\b(Deno|process|require)\b|\bany\b(?=[>}|\]])|@ts-(?!check)\w+/g),
        null,
        url,
      );
    }
  }
});

Deno.test("No file of lib imports from lib/pages", async () => {
  const files = await read(LIB, /\.ts$/);
  ok(files.size > 50);
  for (const [url, text] of files) {
    const found = importsOf(text).filter((found) =>
      new URL(found, url).href.startsWith(PAGES.href)
    );
    deepEqual(found, [], url);
  }
});
