/**
 * Tasks of deno.json, each in its own process, as `deno task` runs them.
 *
 * @module
 */

import denoJson from "../../../deno.json" with { type: "json" };
import { commandOfTask } from "./program.ts";

const ROOT = new URL("../../../", import.meta.url);

/** Options for {@linkcode startTask}. */
export interface TaskOptions {
  args: readonly string[];
  /** Working folder of the user. */
  folder?: string;
  token?: string;
}

/** Result of a task. */
export interface TaskResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Starts a task without the task runner, which handles signals in its own way. */
export function startTask(
  name: keyof typeof denoJson.tasks,
  { args, folder = Deno.cwd(), token = "" }: TaskOptions,
): Deno.ChildProcess {
  const [program, ...command] = commandOfTask(denoJson.tasks[name], Deno.execPath());
  return new Deno.Command(program!, {
    args: [...command, ...args],
    cwd: ROOT,
    env: { INIT_CWD: folder, RUNNEL_TOKEN: token, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs a task to its end. */
export async function runTask(
  name: keyof typeof denoJson.tasks,
  options: TaskOptions,
): Promise<TaskResult> {
  const { code, stdout, stderr } = await startTask(name, options).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out!, stderr: err! };
}
