import { ok } from "node:assert/strict";
import { findReadme } from "../support/readme.ts";

const README = findReadme("lib/stream/README.md");

for (const [guarantee, test] of README.rows("Conformance")) {
  Deno.test(`there is a test for: ${guarantee}`, async () => {
    const [, file, title] = /^`([\w/]+\.ts)`: (.+)$/.exec(test!)!;
    const text = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
    ok(
      [...text.matchAll(/Deno\.test\(\s*["`](.*)["`]/g)].some(([, name]) =>
        name!.startsWith(title!)
      ),
    );
  });
}
