/**
 * Gives every pipeline of a restored store a new epoch. Its events keep their
 * sequences, and the next event follows them. But the sequences that were assigned
 * after the backup are assigned once more, to other events: under the old epoch a
 * client could not tell them apart, and would miss them.
 *
 * @module
 */

import type { KvConnection } from "../kv/mod.ts";
import { type Head, mintEpoch } from "./head.ts";
import { headKey } from "./keys.ts";
import { replaceSecret } from "./unwritten.ts";

/** Number of heads that are read, and written, at once. */
const BATCH_SIZE = 100;

/**
 * Renews the epochs of all pipelines. Processes that use the store may go on: their
 * subscribers receive a gap. If it is interrupted, it can be called again.
 *
 * @returns Number of pipelines with events.
 * @throws {RunnelError} `log-unavailable` if the store does not answer.
 */
export async function renewEpochs(kv: KvConnection): Promise<number> {
  // Pipelines without heads may have been written after the backup.
  await kv.call(replaceSecret, { as: "log-unavailable" });
  let count = 0;
  let start: Deno.KvKey | undefined;
  while (true) {
    const heads = await readHeads(kv, start);
    for (const head of heads) {
      let current: Deno.KvEntryMaybe<Head> = head;
      while (!await renew(kv, current)) {
        current = await kv.call((kv) => kv.get<Head>(head.key), { as: "log-unavailable" });
      }
      if (head.value.sequence > 0) count++;
    }
    const last = heads.at(-1);
    if (!last) return count;
    // The smallest key after that of the last one.
    start = headKey(`${last.key.at(-1) as string}\0`);
  }
}

async function readHeads(
  kv: KvConnection,
  start: Deno.KvKey | undefined,
): Promise<Deno.KvEntry<Head>[]> {
  const prefix = headKey("").slice(0, 1);
  const selector = start ? { prefix, start } : { prefix };
  return await kv.call((kv) => Array.fromAsync(kv.list<Head>(selector, { limit: BATCH_SIZE })), {
    as: "log-unavailable",
  });
}

/** Renews the epoch of a head, unless it changed since it was read. Returns whether it did. */
async function renew(
  kv: KvConnection,
  { key, value, versionstamp }: Deno.KvEntryMaybe<Head>,
): Promise<boolean> {
  if (!value) return true;
  const { ok } = await kv.call((kv) => {
    const operation = kv.atomic().check({ key, versionstamp });
    // A pipeline without events has nothing but its epoch.
    if (value.sequence === 0) return operation.delete(key).commit();
    return operation.set(key, { ...value, epoch: mintEpoch() }).commit();
  }, { as: "log-unavailable" });
  return ok;
}
