/**
 * Restores a backup of the log: `deno task restore FILE`. Every pipeline gets a new
 * epoch, so that clients learn of the events that they may have missed.
 *
 * @module
 */

import { resolve } from "node:path";
import { deleteTickets } from "../access/mod.ts";
import { runCommand, RunnelError, systemRuntime, UsageError } from "../base/mod.ts";
import { readConfig } from "../config/mod.ts";
import { type Kv, KvConnection, prepareStorage, removeSourceMark, replaceFile } from "../kv/mod.ts";
import { renewEpochs } from "../log/mod.ts";

const USAGE = `Restores a backup of the log. Every pipeline gets a new epoch, and tickets end.

  deno task restore FILE   while the service is stopped
  deno task restore        for a store that you restored yourself, such as a KV server

RUNNEL_KV names the log (default: .data/runnel.sqlite).

  -h, --help  print this help`;

/** Deadline of a call, in milliseconds: nobody waits for it but the operator. */
const TIMEOUT_MS = 30_000;

async function restore([file, ...others]: readonly string[]): Promise<string> {
  if (others.length > 0) throw new UsageError("Cannot restore: expected one FILE, or none");
  const { kv } = readConfig({ RUNNEL_KV: Deno.env.get("RUNNEL_KV") });
  using storage = await prepareStorage(kv);
  if (file === undefined) {
    const renewed = await renew(storage.open, storage.remote);
    return `Renewed the epochs of ${count(renewed)} in ${kv}.`;
  }
  if (kv === undefined || kv === ":memory:" || storage.remote) {
    throw new RunnelError(
      "invalid-setting",
      `Cannot restore ${file}: RUNNEL_KV is ${kv}, expected a file. Restore the store where it ` +
        "is, and then run `deno task restore` without a file",
    );
  }
  let pipelines = 0;
  // `deno task` runs in the folder of deno.json, not in that of the user.
  const source = resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), file);
  const replaced = await replaceFile(kv, source, async (copy) => {
    pipelines = await renew(() => Deno.openKv(copy), false);
  });
  const kept = replaced ? ` The log before is in ${replaced}: delete it when you like.` : "";
  return `Restored ${file} to ${kv}: ${count(pipelines)}, each with a new epoch.${kept}`;
}

function count(pipelines: number): string {
  return pipelines === 1 ? "1 pipeline" : `${pipelines} pipelines`;
}

/** Renews what a restored store must not keep, and returns the number of its pipelines. */
async function renew(open: () => Promise<Kv>, remote: boolean): Promise<number> {
  const kv = await KvConnection.open({
    open,
    runtime: systemRuntime,
    timeoutMs: TIMEOUT_MS,
    remote,
  });
  try {
    await deleteTickets(kv);
    const renewed = await renewEpochs(kv);
    await kv.call(removeSourceMark);
    return renewed;
  } finally {
    kv.close();
  }
}

if (import.meta.main) {
  const command = { usage: USAGE, options: {}, failure: "Cannot restore", allowPositionals: true };
  await runCommand(command, async ({ positionals }) => console.log(await restore(positionals)));
}
