import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { Commit } from "../lib/commit.ts";
import { EarlyCommits } from "../lib/early_commits.ts";
import { packSegments, readSegmentHeader } from "../lib/segment.ts";
import { textEvent } from "./support/test_log.ts";

const EPOCH = "AAECAwQFBgc";

function commitOf(first: number, text = "", epoch = EPOCH): Commit {
  const segments = packSegments({ token: 0n, time: 0, first }, [textEvent(text)]);
  return { pipeline: "p_a", epoch, cleared: 0, segments };
}

/** The sequences that are handed out, where those below `missing` are taken. */
function release(early: EarlyCommits, missing = Infinity): number[] {
  const taken: number[] = [];
  const isAll = early.release(EPOCH, ({ segments }) => {
    const { first } = readSegmentHeader(segments[0]!);
    if (first < missing) taken.push(first);
    return first < missing;
  });
  equal(isAll, early.size === 0);
  return taken;
}

Deno.test("EarlyCommits.release() hands out in order, and keeps what is not taken", () => {
  const early = new EarlyCommits();
  for (const first of [5, 3, 9, 4]) early.add(commitOf(first));
  deepEqual(release(early, 5), [3, 4]);
  deepEqual(release(early), [5, 9]);
});

Deno.test("EarlyCommits.release() gives up commits of another log", () => {
  const early = new EarlyCommits();
  early.add(commitOf(1, "", "AAAAAAAAAAA"));
  early.add(commitOf(2));
  deepEqual(release(early), [2]);
});

Deno.test("EarlyCommits.add() keeps no more than 2 MiB, the last ones", () => {
  const early = new EarlyCommits();
  for (let first = 1; first <= 100; first++) early.add(commitOf(first, "x".repeat(50_000)));
  const kept = release(early);
  ok(kept.length * 50_000 > 1.9 * 1024 * 1024 && kept.length * 50_000 <= 2 * 1024 * 1024);
  equal(kept.at(-1), 100);
});
