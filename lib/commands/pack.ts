/**
 * Packs the npm packages `@runnel/client` and `@runnel/workflow`: `deno task pack`.
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
import { runCommand, UsageError } from "../base/mod.ts";
import client from "../client.deno.json" with { type: "json" };
import workflow from "../workflow.deno.json" with { type: "json" };

const USAGE = `Packs the npm packages @runnel/client and @runnel/workflow.

  deno task pack [client | workflow] [options]

  -o, --output FILE  the package, if only one is packed
                     (default: runnel-NAME-VERSION.tgz in this folder)
  -h, --help         print this help`;

/** The packages, by the rooms that they consist of. */
const PACKAGES = { client, workflow };

/** Warning about modules whose types are no part of the package's own. */
const FALSE_WARNING = /^Could not generate types for .* Types will not be included/;

const LIB = fileURLToPath(new URL("../", import.meta.url));

/** Packs a package and returns the exit code of `deno pack`. */
async function pack(room: keyof typeof PACKAGES, output: string | undefined): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "runnel-pack-"));
  try {
    const config = join(folder, "deno.json");
    await cp(join(LIB, `${room}.deno.json`), config);
    await cp(join(LIB, "../LICENSE"), join(folder, "LICENSE"));
    for (const path of PACKAGES[room].publish.include) {
      await cp(join(LIB, path), join(folder, path), { recursive: true });
    }
    await rename(join(folder, room, "README.md"), join(folder, "README.md"));
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

function isRoom(name: string): name is keyof typeof PACKAGES {
  return Object.hasOwn(PACKAGES, name);
}

if (import.meta.main) {
  const options = { output: { type: "string", short: "o" } } as const;
  await runCommand(
    { usage: USAGE, options, allowPositionals: true },
    async ({ values: { output }, positionals }) => {
      const rooms = positionals.length > 0 ? positionals : Object.keys(PACKAGES);
      if (output && rooms.length > 1) {
        throw new UsageError("Cannot pack: name one package beside --output");
      }
      for (const room of rooms) {
        if (!isRoom(room)) throw new UsageError(`Cannot pack ${JSON.stringify(room)}`);
        Deno.exitCode ||= await pack(room, output);
      }
    },
  );
}
