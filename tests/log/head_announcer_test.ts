import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { Commit } from "../../lib/log/commit.ts";
import { type AnnouncedHead, HeadAnnouncer } from "../../lib/log/head_announcer.ts";
import { packSegments } from "../../lib/log/segment.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { textEvent } from "../support/log.ts";

const epoch = "AAECAwQFBgc";

function createTestAnnouncer() {
  const clock = new FakeClock();
  const announced: AnnouncedHead[][] = [];
  const announcer = new HeadAnnouncer({
    runtime: { clock },
    announce: (heads) => announced.push(heads),
  });
  return { clock, announced, announcer };
}

function commitOf(pipeline: string, first: number, count = 1): Commit {
  const events = Array.from({ length: count }, () => textEvent("x"));
  return {
    pipeline,
    epoch,
    cleared: 0,
    segments: packSegments({ token: 0n, time: 0, first }, events),
  };
}

Deno.test("HeadAnnouncer announces the last event of each pipeline once", () => {
  const { clock, announced, announcer } = createTestAnnouncer();
  announcer.add(commitOf("p_a", 1));
  announcer.add(commitOf("p_a", 2, 3));
  announcer.add(commitOf("p_b", 7));
  clock.advance(250);
  deepEqual(announced, [[
    { pipeline: "p_a", epoch, sequence: 4, cleared: 0 },
    { pipeline: "p_b", epoch, sequence: 7, cleared: 0 },
  ]]);
  clock.advance(10_000);
  equal(announced.length, 1);
  equal(clock.liveTimers, 0);
});

Deno.test("HeadAnnouncer announces a quiet pipeline while another one is busy", () => {
  const { clock, announced, announcer } = createTestAnnouncer();
  announcer.add(commitOf("p_quiet", 1));
  for (let first = 1; first <= 100; first++) {
    announcer.add(commitOf("p_busy", first));
    clock.advance(10);
  }
  deepEqual(announced.flat().map(({ pipeline }) => pipeline), ["p_quiet"]);
  clock.advance(250);
  deepEqual(announced.at(-1), [{ pipeline: "p_busy", epoch, sequence: 100, cleared: 0 }]);
  equal(clock.liveTimers, 0);
});

Deno.test("HeadAnnouncer announces within 100 to 250 ms after the last event", () => {
  for (let offset = 0; offset < 200; offset += 10) {
    const { clock, announced, announcer } = createTestAnnouncer();
    announcer.add(commitOf("p_other", 1));
    clock.advance(offset);
    announcer.add(commitOf("p_a", 1));
    clock.advance(99);
    equal(announced.flat().some(({ pipeline }) => pipeline === "p_a"), false);
    clock.advance(151);
    equal(announced.flat().some(({ pipeline }) => pipeline === "p_a"), true);
  }
});

Deno.test("HeadAnnouncer announces a clear", () => {
  const { clock, announced, announcer } = createTestAnnouncer();
  announcer.add({ pipeline: "p_a", epoch, oldest: 8 });
  clock.advance(250);
  deepEqual(announced, [[{ pipeline: "p_a", epoch, sequence: 7, cleared: 8 }]]);
});

Deno.test("HeadAnnouncer announces the last clear with a later commit", () => {
  const { clock, announced, announcer } = createTestAnnouncer();
  announcer.add({ pipeline: "p_a", epoch, oldest: 8 });
  announcer.add({ ...commitOf("p_a", 8), cleared: 8 });
  clock.advance(250);
  deepEqual(announced, [[{ pipeline: "p_a", epoch, sequence: 8, cleared: 8 }]]);
});

Deno.test("HeadAnnouncer announces nothing after it is disposed", () => {
  const { clock, announced, announcer } = createTestAnnouncer();
  announcer.add(commitOf("p_a", 1));
  announcer[Symbol.dispose]();
  clock.advance(250);
  deepEqual(announced, []);
  equal(clock.liveTimers, 0);
});
