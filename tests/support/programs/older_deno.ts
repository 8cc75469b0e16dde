/**
 * The version of Deno that Deno Deploy documents, to start the program with:
 * it has neither `FsFile.tryLock` nor a `BroadcastChannel`.
 *
 * @module
 */

import type { Requirement } from "./requirements.ts";

const PACKAGE = "deno@2.5.0";

/** Path of the executable; empty if npx does not have it. */
export const OLDER_DENO: string = await find();

/** Requirements of a test that starts the older Deno. */
export const olderDeno: Requirement = {
  isInstalled: OLDER_DENO !== "",
  install: `npx -y ${PACKAGE} --version`,
};

/** Finds the executable, to start it directly: npx would not forward signals to it. */
async function find(): Promise<string> {
  const args = ["--offline", "--no", PACKAGE, "eval", "console.log(Deno.execPath())"];
  try {
    const { success, stdout } = await new Deno.Command("npx", { args, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
