/**
 * The tasks that work on the file of the log, each in its own process.
 *
 * @module
 */

import denoJson from "../../../deno.json" with { type: "json" };
import type { TaskResult } from "./task.ts";

const ROOT = new URL("../../../", import.meta.url);

/** Runs a task on the log at `kv` to its end, without the task runner. */
export async function runStorageTask(
  name: "backup" | "restore" | "compact" | "copy",
  { kv, args = [], env = {} }: {
    kv: string;
    args?: readonly string[];
    env?: Record<string, string>;
  },
): Promise<TaskResult> {
  const [, ...command] = denoJson.tasks[name].split(" ");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...command, ...args],
    cwd: ROOT,
    env: { RUNNEL_KV: kv, NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out!, stderr: err! };
}
