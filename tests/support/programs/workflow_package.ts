/**
 * The npm packages, as their users install them.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import type { Requirement } from "./requirements.ts";
import { runTask } from "./task.ts";
import { TempFolder } from "./temp_folder.ts";

/** Node with npm. */
export const node: Requirement = {
  isInstalled: await answers("node") && await answers("npm"),
  install: "apt-get install -y nodejs npm",
};

/** Whether a program is installed that tells its version. */
export async function answers(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs a program that succeeds, and returns what it printed. */
export async function run(program: string, args: string[], cwd: string | URL): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  const printed = new TextDecoder().decode(stdout);
  ok(success, printed + new TextDecoder().decode(stderr));
  return printed;
}

/** The packages, by the arguments of `deno task pack`. */
export type PackageName = "client" | "workflow";

/** Creates a project in which the tarballs of `deno task pack` are installed. */
export async function createProject(
  packages: readonly PackageName[] = ["workflow"],
): Promise<TempFolder> {
  const project = new TempFolder();
  try {
    const tarballs = packages.map((name) => `${project.path}/${name}.tgz`);
    for (const [index, name] of packages.entries()) {
      const { code, stderr } = await runTask("pack", { args: [name, "-o", tarballs[index]!] });
      equal(code, 0, stderr);
    }
    await project.write("package.json", '{ "type": "module", "private": true }');
    const quiet = ["--offline", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...quiet, ...tarballs], project.path);
    return project;
  } catch (error) {
    await project[Symbol.asyncDispose]();
    throw error;
  }
}
