/**
 * The records of a store, whatever they are, except for the mark of a copy.
 *
 * @module
 */

import { COPY_MARK } from "./copy_mark.ts";
import type { KvConnection } from "./kv_connection.ts";

/** Number of records that are removed at once: an operation takes 1000 mutations. */
const WIPE_SIZE = 400;

/** All errors of a store are `log-unavailable`. */
const AS = { as: "log-unavailable" } as const;

/** Lists records after a key, in their order, without the mark. Empty only at the end. */
export async function listRecords(
  store: KvConnection,
  after: Deno.KvKey | null,
  limit: number,
): Promise<Deno.KvEntry<unknown>[]> {
  const selector: Deno.KvListSelector = after ? { prefix: [], start: after } : { prefix: [] };
  // Two more: the key itself, and the mark.
  const entries = await store.call(
    (kv) => Array.fromAsync(kv.list<unknown>(selector, { limit: limit + 2 })),
    AS,
  );
  return entries.filter(({ key }) => !isSame(key, COPY_MARK) && !(after && isSame(key, after)));
}

/** Removes all records but the mark. */
export async function wipeRecords(store: KvConnection): Promise<void> {
  while (true) {
    const entries = await listRecords(store, null, WIPE_SIZE);
    if (entries.length === 0) return;
    await store.call((kv) => {
      const operation = kv.atomic();
      for (const { key } of entries) operation.delete(key);
      return operation.commit();
    }, AS);
  }
}

function isSame(one: Deno.KvKey, other: Deno.KvKey): boolean {
  return one.length === other.length && one.every((part, index) => {
    const [a, b] = [part, other[index]!];
    return a instanceof Uint8Array && b instanceof Uint8Array
      ? a.toHex() === b.toHex()
      : Object.is(a, b);
  });
}
