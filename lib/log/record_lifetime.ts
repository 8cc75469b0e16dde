/**
 * The time that records of the log have left, for a copy of the store: Deno KV does
 * not tell it.
 *
 * @module
 */

import { type Head, UNWRITTEN_LIFETIME_MS } from "./head.ts";
import type { IdempotencyRecord } from "./idempotency.ts";

/** Kinds of records that are kept until they are deleted, by the first parts of their keys. */
const KEPT = ["log", "epoch-secret", "generation", "erase", "ping", "deletion"];

/**
 * Returns the time that a record of the log has left, in milliseconds; `Infinity` if it does
 * not expire, and `null` if it is none of the log.
 */
export function logRecordTimeLeft(key: Deno.KvKey, value: unknown, now: number): number | null {
  const [kind] = key;
  if (kind === "once") return (value as IdempotencyRecord).until - now;
  // Anew: a subscriber may have it, and it is renewed while there is one.
  if (kind === "head") return (value as Head).sequence === 0 ? UNWRITTEN_LIFETIME_MS : Infinity;
  return KEPT.includes(kind as string) ? Infinity : null;
}
