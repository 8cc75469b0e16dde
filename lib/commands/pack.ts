/**
 * Packs the npm package `@runnel/workflow`: `deno task pack`.
 *
 * `deno pack` takes the README, the license and the modules only from the folder
 * of its configuration. So the program copies them into one folder and packs that.
 *
 * @module
 */

import { cp, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../base/mod.ts";
import manifest from "../workflow.deno.json" with { type: "json" };

const USAGE = `Packs the npm package @runnel/workflow.

  deno task pack [options]

  -o, --output FILE  the package (default: runnel-workflow-VERSION.tgz in this folder)
  -h, --help         print this help`;

/** Warning about modules whose types are no part of the package's own. */
const FALSE_WARNING = /^Could not generate types for .* Types will not be included/;

const LIB = fileURLToPath(new URL("../", import.meta.url));

/** Packs the package and returns the exit code of `deno pack`. */
async function pack(output: string | undefined): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "runnel-pack-"));
  try {
    const config = join(folder, "deno.json");
    await cp(join(LIB, "workflow.deno.json"), config);
    await cp(join(LIB, "../LICENSE"), join(folder, "LICENSE"));
    for (const path of manifest.publish.include) {
      await cp(join(LIB, path), join(folder, path), { recursive: true });
    }
    await rename(join(folder, "workflow/README.md"), join(folder, "README.md"));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "pack",
        "--allow-dirty",
        "--no-source-maps",
        "--config",
        config,
        ...output ? ["--output", output] : [],
      ],
      stdout: "inherit",
    }).output();
    const lines = new TextDecoder().decode(stderr).trimEnd().split("\n");
    for (const line of lines) if (!FALSE_WARNING.test(line)) console.error(line);
    return code;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) {
  await runCommand(
    { usage: USAGE, options: { output: { type: "string", short: "o" } } },
    async ({ values: { output } }) => {
      Deno.exitCode = await pack(output);
    },
  );
}
