import { strictEqual as equal } from "node:assert/strict";
import {
  deletionKey,
  ERASE_KEY,
  generationKey,
  headKey,
  idempotencyKey,
  PING_KEY,
  SECRET_KEY,
  segmentKey,
} from "../../lib/log/keys.ts";
import { newHead } from "../../lib/log/head.ts";
import { logRecordTimeLeft } from "../../lib/log/record_lifetime.ts";

const NOW = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

const hash = new Uint8Array(32);
const record = { until: NOW + HOUR_MS, fingerprint: "", epoch: "", first: 1, count: 1 };
const unwritten = newHead("epoch", NOW - HOUR_MS);

const records: [what: string, key: Deno.KvKey, value: unknown, left: number | null][] = [
  ["an idempotency key", idempotencyKey("p_a", hash), record, HOUR_MS],
  ["an expired idempotency key", idempotencyKey("p_a", hash), { ...record, until: NOW - 1 }, -1],
  ["a head with events", headKey("p_a"), { ...unwritten, sequence: 7 }, Infinity],
  ["a head without events", headKey("p_a"), unwritten, 72 * HOUR_MS],
  ["a segment", segmentKey("p_a", 7), new Uint8Array(), Infinity],
  ["the secret of the epochs", SECRET_KEY, new Uint8Array(), Infinity],
  ["a counter", generationKey(1), 1, Infinity],
  ["the record of an erasure", ERASE_KEY, true, Infinity],
  ["the record of a ping", PING_KEY, 1, Infinity],
  ["a deletion", deletionKey("p_a"), {}, Infinity],
  ["a record of another part", ["ticket", "hash"], {}, null],
];

for (const [what, key, value, left] of records) {
  Deno.test(`logRecordTimeLeft() returns ${left} ms for ${what}`, () => {
    equal(logRecordTimeLeft(key, value, NOW), left);
  });
}
