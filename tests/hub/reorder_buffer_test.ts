import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { Commit } from "../../lib/log/commit.ts";
import { ReorderBuffer } from "../../lib/hub/reorder_buffer.ts";
import { packSegments, readSegmentHeader } from "../../lib/log/segment.ts";
import { textEvent } from "../support/log.ts";

const EPOCH = "AAECAwQFBgc";

function commitOf(first: number, text = "", epoch = EPOCH): Commit {
  const segments = packSegments({ token: 0n, time: 0, first }, [textEvent(text)]);
  return { pipeline: "p_a", epoch, cleared: 0, segments };
}

/** The sequences that are appended, if only those below `missing` are, and the result. */
function release(buffer: ReorderBuffer, missing = Infinity): { taken: number[]; isWhole: boolean } {
  const taken: number[] = [];
  const isWhole = buffer.release(EPOCH, ({ segments }) => {
    const { first } = readSegmentHeader(segments[0]!);
    if (first < missing) taken.push(first);
    return first < missing;
  });
  return { taken, isWhole };
}

Deno.test("ReorderBuffer.release() passes commits on in order, and drops those that do not follow", () => {
  const buffer = new ReorderBuffer();
  for (const first of [5, 3, 9, 4]) buffer.add(commitOf(first));
  deepEqual(release(buffer, 5), { taken: [3, 4], isWhole: false });
  deepEqual(release(buffer), { taken: [], isWhole: true });
});

Deno.test("ReorderBuffer.release() returns false when there are commits of another epoch", () => {
  const buffer = new ReorderBuffer();
  buffer.add(commitOf(1));
  buffer.add(commitOf(2, "", "AAAAAAAAAAA"));
  deepEqual(release(buffer), { taken: [1], isWhole: false });
});

Deno.test("ReorderBuffer.release() returns false when more than 2 MiB were added", () => {
  const buffer = new ReorderBuffer();
  // The newest event comes first, and is the one that does not fit.
  for (let first = 100; first >= 1; first--) buffer.add(commitOf(first, "x".repeat(50_000)));
  const { taken, isWhole } = release(buffer);
  const bytes = taken.length * 50_000;
  ok(bytes > 1.9 * 1024 * 1024 && bytes <= 2 * 1024 * 1024);
  equal(taken[0], 1);
  equal(isWhole, false, "event 100 is missing though what is left has no gap");
  buffer.add(commitOf(1));
  equal(release(buffer).isWhole, true);
});

Deno.test("ReorderBuffer.add() counts what a commit takes beside its segments", () => {
  const buffer = new ReorderBuffer();
  for (let first = 1; first <= 10_000; first++) buffer.add(commitOf(first));
  const { taken, isWhole } = release(buffer);
  ok(taken.length < 4096, `${taken.length}`);
  deepEqual([taken.at(-1), isWhole], [10_000, false]);
});
