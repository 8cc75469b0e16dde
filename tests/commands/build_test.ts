import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { buildClient } from "../../lib/commands/build.ts";

const FOLDER = new URL("../../lib/pages/client/", import.meta.url);

/** First line of a built file. */
const BUILT = /^\/\* @ts-self-types="/;

Deno.test("deno task build was run after the last change of lib/client", async () => {
  const built = new Map<string, string>();
  for await (const { name } of Deno.readDir(FOLDER)) {
    const text = await Deno.readTextFile(new URL(name, FOLDER));
    if (BUILT.test(text)) built.set(name, text);
  }
  const expected = await buildClient();
  ok(expected.has("mod.js"));
  deepEqual([...built].sort(), [...expected].sort(), "Run deno task build");
});

for (const entry of ["mod.js", "shared.js", "shared_worker.js"]) {
  Deno.test(`${entry} imports all modules that it needs itself, so that no browser waits for each level`, async () => {
    const files = await buildClient();
    const importsOf = (name: string) =>
      [...files.get(name)!.matchAll(/(?:from|import) "\.\/(\w+\.js)"/g)].map(([, found]) => found!);
    const own = new Set(importsOf(entry));
    ok(own.size > 10);
    for (const name of own) {
      for (const found of importsOf(name)) ok(own.has(found), `${name} imports ${found}`);
    }
  });
}
