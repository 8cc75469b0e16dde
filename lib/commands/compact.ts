/**
 * Compacts the file of the log: `deno task compact`. Deletions free room inside
 * of the file; this gives it back, and what was deleted is no longer in the file.
 *
 * @module
 */

import { runCommand, RunnelError } from "../base/mod.ts";
import { readConfig } from "../config/mod.ts";
import { compactFile, prepareStorage } from "../kv/mod.ts";

const USAGE = `Compacts the file of the log while the service is stopped.

  deno task compact

RUNNEL_KV names the file (default: .data/runnel.sqlite).

  -h, --help  print this help`;

async function compact(): Promise<string> {
  const { kv } = readConfig({ RUNNEL_KV: Deno.env.get("RUNNEL_KV") });
  using storage = await prepareStorage(kv);
  if (kv === undefined || storage.remote || kv === ":memory:") {
    throw new RunnelError(
      "invalid-setting",
      `Cannot compact: RUNNEL_KV is ${kv}, expected a file. Compact the store where it is`,
    );
  }
  const { before, after } = await compactFile(kv);
  return `Compacted ${kv}: ${megabytes(before)} before, ${megabytes(after)} now.`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

if (import.meta.main) {
  const command = { usage: USAGE, options: {}, failure: "Cannot compact" };
  await runCommand(command, async () => console.log(await compact()));
}
