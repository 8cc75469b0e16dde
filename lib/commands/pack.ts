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

  --output FILE  the package (default: runnel-workflow-VERSION.tgz in this folder)
  -h, --help     print this help`;

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
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "pack",
        "--allow-dirty",
        "--no-source-maps",
        "--config",
        config,
        ...output ? ["--output", output] : [],
      ],
    }).spawn().status;
    return code;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) {
  await runCommand(
    { usage: USAGE, options: { output: { type: "string" } } },
    async ({ values: { output } }) => {
      Deno.exitCode = await pack(output);
    },
  );
}
