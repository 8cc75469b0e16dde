import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import type { ChannelScan } from "../../lib/log/channel_scan.ts";
import { clearHead } from "../../lib/log/head.ts";
import { headKey, segmentKey } from "../../lib/log/keys.ts";
import { numbers } from "../support/events.ts";
import { fail, passThrough, pause } from "../support/fakes/kv.ts";
import { createTestLog, type TestLog, textEvent, trimBelow } from "../support/log.ts";

/** Appends events, each in its own segment, on the channels of their names. */
async function append({ log }: TestLog, ...channels: readonly string[]): Promise<void> {
  for (const channel of channels) await log.append("p_a", [textEvent("1", channel)]);
}

/** The channels of a scan by sequence, newest first. */
function channelsOf(scan: ChannelScan | null): [number, string | undefined][] {
  const names = [...scan!.indexes.keys()];
  return [...scan!.channels].map((index, i) => [scan!.last - i, names[index]]);
}

Deno.test("EventLog.scanChannels() returns the channels of all events, newest first", async () => {
  await using test = await createTestLog();
  await append(test, "a", "b", "\uFEFFc");
  await test.log.append("p_a", ["a", "b", "d€"].map((channel) => textEvent("1", channel)));
  await test.log.append("p_b", [textEvent("1", "other")]);
  const scan = await test.log.scanChannels("p_a");
  deepEqual(channelsOf(scan), [[6, "d€"], [5, "b"], [4, "a"], [3, "\uFEFFc"], [2, "b"], [1, "a"]]);
  equal(scan!.indexes.size, 4);
  equal(scan!.epoch, (await test.log.head("p_a"))!.epoch);
});

Deno.test("EventLog.scanChannels() returns null for a pipeline without a log", async () => {
  await using test = await createTestLog();
  equal(await test.log.scanChannels("p_a"), null);
});

Deno.test("EventLog.scanChannels() ends at the oldest event that is retained", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", ["a", "b", "c"].map((channel) => textEvent("1", channel)));
  await append(test, "d");
  await trimBelow(test.kv, "p_a", 3);
  deepEqual(channelsOf(await test.log.scanChannels("p_a")), [[4, "d"], [3, "c"]]);
});

Deno.test("EventLog.scanChannels() returns nothing that was cleared, though it is still stored", async () => {
  await using test = await createTestLog();
  await append(test, "a", "b");
  const cleared = clearHead((await test.log.head("p_a"))!);
  await test.kv.atomic().set(headKey("p_a"), cleared).commit();
  deepEqual(channelsOf(await test.log.scanChannels("p_a")), []);
});

Deno.test("EventLog.scanChannels() passes over segments that are missing or overwritten", async () => {
  await using test = await createTestLog();
  await append(test, "a", "b", "c", "d", "e", "f");
  const overwritten = new Uint8Array(40).fill(0xee);
  await test.kv.atomic().delete(segmentKey("p_a", 2)).delete(segmentKey("p_a", 6))
    .set(segmentKey("p_a", 4), overwritten).set(segmentKey("p_a", 5), "text").commit();
  const channels = [[6], [5], [4], [3, "c"], [2], [1, "a"]];
  deepEqual(
    channelsOf(await test.log.scanChannels("p_a")),
    channels.map(([sequence, channel]) => [sequence, channel]),
  );
});

Deno.test("EventLog.scanChannels() ends at a damaged place of the store", async () => {
  await using test = await createTestLog();
  await append(test, "a", "b", "c", "d");
  const damaged = fail(() => new TypeError("database disk image is malformed"));
  // The batch fails, and then the third segment that is read alone.
  test.kv.script("next", damaged, passThrough, passThrough, damaged);
  deepEqual(channelsOf(await test.log.scanChannels("p_a")), [[4, "d"], [3, "c"]]);
});

Deno.test("EventLog.scanChannels() does not return what is published meanwhile", async () => {
  await using test = await createTestLog();
  await append(test, "a", "b");
  const held = pause("call");
  test.kv.script("next", held.fault);
  const scanning = test.log.scanChannels("p_a");
  await held.reached;
  await append(test, "c");
  held.release();
  deepEqual(channelsOf(await scanning), [[2, "b"], [1, "a"]]);
});

Deno.test("EventLog.scanChannels() ends after 1 MiB", async () => {
  await using test = await createTestLog();
  for (let i = 0; i < 40; i++) await test.log.append("p_a", [textEvent("x".repeat(60_000))]);
  const { channels } = (await test.log.scanChannels("p_a"))!;
  equal(channels.length, 18);
});

Deno.test("EventLog.scanChannels() ends after 10,000 events", async () => {
  await using test = await createTestLog();
  for (let i = 0; i < 12; i++) {
    await test.log.append("p_a", numbers(1, 1000).map(() => textEvent("1")));
  }
  const { channels } = (await test.log.scanChannels("p_a"))!;
  equal(channels.length, 10_000);
});

Deno.test("EventLog.scanChannels() rejects if the log does not answer", async () => {
  await using test = await createTestLog();
  await append(test, "a");
  test.kv.script("next", fail());
  await rejects(test.log.scanChannels("p_a"), { type: "log-unavailable" });
  ok(await test.log.scanChannels("p_a"));
});
