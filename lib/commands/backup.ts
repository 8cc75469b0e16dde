/**
 * Backs up the file of the log, while the service runs: `deno task backup FILE`.
 *
 * @module
 */

import { resolve } from "node:path";
import { runCommand, RunnelError, UsageError } from "../base/mod.ts";
import { readConfig } from "../config/mod.ts";
import { copyFile } from "../kv/mod.ts";

const USAGE = `Backs up the log as it is at this moment. The service may go on.

  deno task backup FILE

FILE is a new file. RUNNEL_KV names the file of the log (default: .data/runnel.sqlite).

  -h, --help  print this help`;

async function backup([file, ...others]: readonly string[]): Promise<string> {
  if (!file || others.length > 0) throw new UsageError("Cannot back up: expected one FILE");
  const { kv } = readConfig({ RUNNEL_KV: Deno.env.get("RUNNEL_KV") });
  if (kv === undefined || kv === ":memory:" || /^https?:/.test(kv)) {
    throw new RunnelError(
      "invalid-setting",
      `Cannot back up: RUNNEL_KV is ${kv}, expected a file. Back up the store where it is`,
    );
  }
  // `deno task` runs in the folder of deno.json, not in that of the user.
  const target = resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), file);
  try {
    await copyFile(kv, target);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new UsageError(`Cannot back up: ${file} exists. Name a new file`);
  }
  const { size } = await Deno.stat(target);
  return `Backed up ${kv} to ${file}: ${(size / 1e6).toFixed(1)} MB.`;
}

if (import.meta.main) {
  const command = { usage: USAGE, options: {}, failure: "Cannot back up", allowPositionals: true };
  await runCommand(command, async ({ positionals }) => console.log(await backup(positionals)));
}
