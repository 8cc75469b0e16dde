/**
 * The program as one executable, which `deno task compile` builds.
 *
 * @module
 */

import denoJson from "../../../deno.json" with { type: "json" };
import type { Requirement } from "./requirements.ts";

const ROOT = new URL("../../../", import.meta.url);

/** The runtime of executables, which the first build downloads. */
export const denort: Requirement = {
  isInstalled: await isThere(),
  install: "deno task compile, which downloads the runtime of executables",
};

async function isThere(): Promise<boolean> {
  if (Deno.env.get("DENORT_BIN")) return true;
  const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] });
  const { denoDir } = JSON.parse(new TextDecoder().decode((await command.output()).stdout));
  const name = `denort-${Deno.build.target}.zip`;
  const path = `${denoDir}/dl/release/v${Deno.version.deno}/${name}`;
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * Builds the executable as the task does.
 *
 * @param output Path of the executable.
 * @param runtime Path of another runtime than that of this Deno.
 */
export async function compile(output: string, runtime?: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...denoJson.tasks.compile.split(" ").slice(1), "--output", output],
    cwd: ROOT,
    env: runtime === undefined ? {} : { DENORT_BIN: runtime },
    stdout: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
