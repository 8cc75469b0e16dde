/**
 * Copies the log to another store, such as a file to a KV server: `deno task copy FROM TO`.
 *
 * @module
 */

import { resolve } from "node:path";
import { ticketRecordTimeLeft } from "../access/mod.ts";
import { runCommand, RunnelError, systemRuntime, UsageError } from "../base/mod.ts";
import { copyStore, KvConnection, type KvStorage, prepareStorage } from "../kv/mod.ts";
import { logRecordTimeLeft } from "../log/mod.ts";

const USAGE = `Copies the log to an empty store, while no process uses either of them.

  deno task copy FROM TO

FROM and TO are files, or URLs of KV Connect servers with one DENO_KV_ACCESS_TOKEN. Epochs,
idempotency keys and tickets stay, so that clients go on at TO without a gap. No service starts
on FROM afterwards. A copy that was interrupted goes on when you run the same command again.

  -h, --help  print this help`;

/** Deadline of a call, in milliseconds: nobody waits for it but the operator. */
const TIMEOUT_MS = 30_000;

/** Number of records between two lines that tell of the progress. */
const LINE_RECORDS = 100_000;

async function copy([from, to, ...others]: readonly string[]): Promise<string> {
  if (from === undefined || to === undefined || others.length > 0) {
    throw new UsageError("Cannot copy: expected FROM and TO");
  }
  const [source, target] = [locate(from), locate(to)];
  if (source === target) throw new UsageError("Cannot copy: FROM and TO are the same");
  await assertExists(source);
  using stack = new DisposableStack();
  const open = async (kv: string) => stack.use(await connect(stack.use(await prepareStorage(kv))));
  let told = 0;
  const { records, resumed } = await copyStore({
    from: { kv: await open(source), name: source },
    to: { kv: await open(target), name: target },
    timeLeft,
    runtime: systemRuntime,
    onWait: (ms) => console.error(`Waits ${ms / 1000} s for processes that use ${source} to stop`),
    onProgress(records) {
      if (records - told < LINE_RECORDS) return;
      told = records;
      console.error(`${records} records so far`);
    },
  });
  return `${resumed ? "Copied the rest of" : "Copied"} ${source} to ${target}: ${records} ` +
    `records. Set RUNNEL_KV to ${target}. No service starts on ${source} any more.`;
}

/** Returns the location of a store: `deno task` runs in the folder of deno.json. */
function locate(place: string): string {
  if (place === ":memory:") throw new UsageError("Cannot copy: :memory: is gone when this ends");
  if (/^https?:\/\//.test(place)) return place.replace(/\/+$/, "");
  if (/^\w+:\/\//.test(place)) {
    throw new UsageError(`Cannot copy: ${place} is neither a file nor an http or https URL`);
  }
  return resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), place);
}

/** A missing file would be created, and its copy would be empty. */
async function assertExists(source: string): Promise<void> {
  if (/^https?:/.test(source)) return;
  try {
    await Deno.stat(source);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError(`Cannot copy: there is no file ${source}`);
  }
}

function connect({ open, remote }: KvStorage): Promise<KvConnection> {
  return KvConnection.open({ open, remote, runtime: systemRuntime, timeoutMs: TIMEOUT_MS });
}

/** Returns the time that a record of any part of the service has left. */
function timeLeft(key: Deno.KvKey, value: unknown, now: number): number {
  const left = logRecordTimeLeft(key, value, now) ?? ticketRecordTimeLeft(key, value, now);
  if (left !== null) return left;
  const kind = JSON.stringify(String(key[0]));
  throw new RunnelError(
    "storage-unusable",
    `Cannot copy: a record of the kind ${kind} is none of this version of Runnel. Use the ` +
      "version that wrote it",
  );
}

if (import.meta.main) {
  const command = { usage: USAGE, options: {}, failure: "Cannot copy", allowPositionals: true };
  await runCommand(command, async ({ positionals }) => console.log(await copy(positionals)));
}
