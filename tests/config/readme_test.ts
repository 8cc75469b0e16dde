import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import denoJson from "../../deno.json" with { type: "json" };
import { readConfig, SETTING_NAMES } from "../../lib/config/config.ts";
import { updateReference } from "../../lib/config/reference.ts";
import { findReadme } from "../support/readme.ts";

const README = findReadme("lib/config/README.md");

Deno.test("lib/config/README.md has the tables of the settings", () => {
  const command = "deno run -A lib/config/reference.ts";
  equal(updateReference(README.text), README.text, `${README.path} is outdated. Run: ${command}`);
  ok(README.text.includes(command));
});

Deno.test("lib/config/README.md names every setting with its default, and no other", () => {
  const settings = ["Settings", "Access"].flatMap((heading) => README.rows(heading)).map((cells) =>
    cells.map((cell) => cell.replaceAll("`", ""))
  );
  // Deno Deploy sets its variable itself, so it is not a setting of the operator.
  deepEqual(
    settings.map(([name]) => name),
    SETTING_NAMES.filter((name) => name !== "DENO_DEPLOYMENT_ID"),
  );
  for (const [name, defaults] of settings) {
    const [value] = defaults!.split(", on Deno Deploy ");
    if (value !== "none") deepEqual(readConfig({ [name!]: value }), readConfig({}));
  }
});

Deno.test("updateReference() replaces outdated tables, and nothing else", () => {
  const outdated = README.text.replaceAll(/^(\| `\w+`) .*\n/gm, "$1 |\n");
  ok(outdated.length < README.text.length);
  equal(updateReference(outdated), README.text);
});

Deno.test("deno.json permits reading every setting", () => {
  const { env } = denoJson.permissions.default;
  for (const name of SETTING_NAMES) {
    const isPermitted = env.allow.some((permitted) =>
      permitted.endsWith("*") ? name.startsWith(permitted.slice(0, -1)) : name === permitted
    );
    ok(isPermitted, name);
  }
});
