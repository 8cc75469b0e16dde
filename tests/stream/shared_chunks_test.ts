import { strictEqual as equal } from "node:assert/strict";
import type { Chunk } from "../../lib/stream/chunk.ts";
import { SharedChunks } from "../../lib/stream/shared_chunks.ts";

const PLACE = { cursor: 1, until: 9, filterKey: "[]" };

function chunkOf(size: number): Chunk {
  return { bytes: new Uint8Array(size), count: 2, lastSequence: 9, cursor: 9 };
}

Deno.test("SharedChunks.get() returns a chunk only for its cursor, end and filter", () => {
  const chunks = new SharedChunks();
  const chunk = chunkOf(10);
  chunks.keep(PLACE, chunk, 10_000);
  equal(chunks.get({ ...PLACE }), chunk);
  equal(chunks.get({ ...PLACE, cursor: 2 }), undefined);
  equal(chunks.get({ ...PLACE, until: 8 }), undefined);
  equal(chunks.get({ ...PLACE, filterKey: '["a"]' }), undefined);
});

Deno.test("SharedChunks.keep() replaces a chunk with another end, and counts it no more", () => {
  const chunks = new SharedChunks();
  chunks.keep(PLACE, chunkOf(10), 100_000);
  const { bytes } = chunks;
  const longer = chunkOf(30);
  chunks.keep({ ...PLACE, until: 10 }, longer, 100_000);
  equal(chunks.bytes, bytes + 20);
  equal(chunks.get(PLACE), undefined);
  equal(chunks.get({ ...PLACE, until: 10 }), longer);
});

Deno.test("SharedChunks.keep() counts the bytes, the key and what else a chunk takes", () => {
  const chunks = new SharedChunks();
  chunks.keep({ ...PLACE, filterKey: "x".repeat(100) }, chunkOf(1000), 100_000);
  equal(chunks.bytes > 1000 + 200 + 500, true);
  chunks.clear();
  equal(chunks.bytes, 0);
});

Deno.test("SharedChunks.keep() drops the others for a chunk that leaves them no room, and keeps none that is too large", () => {
  const chunks = new SharedChunks();
  const first = chunkOf(1000);
  chunks.keep(PLACE, first, 5000);
  chunks.keep({ ...PLACE, cursor: 2 }, chunkOf(10_000), 5000);
  equal(chunks.get(PLACE), first);
  equal(chunks.get({ ...PLACE, cursor: 2 }), undefined);
  const second = chunkOf(3000);
  chunks.keep({ ...PLACE, cursor: 3 }, second, 5000);
  equal(chunks.get(PLACE), undefined);
  equal(chunks.get({ ...PLACE, cursor: 3 }), second);
  equal(chunks.bytes <= 5000, true);
});
