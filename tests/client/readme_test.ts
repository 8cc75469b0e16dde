import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { findReadme } from "../support/readme.ts";

Deno.test("The README has each file of the room once", async () => {
  const named = findReadme("lib/client/README.md").rows("Source")
    .flatMap(([, files]) => [...files!.matchAll(/`(\w+\.ts)`/g)].map(([, name]) => name!));
  const names: string[] = [];
  for await (const { name } of Deno.readDir(new URL("../../lib/client/", import.meta.url))) {
    if (name.endsWith(".ts")) names.push(name);
  }
  deepEqual(named.sort(), names.sort());
});
