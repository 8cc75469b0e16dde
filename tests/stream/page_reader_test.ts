import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import type { Page } from "../../lib/log/log_reader.ts";
import { PageReader } from "../../lib/stream/page_reader.ts";
import { createTestLog, textEvent } from "../support/log.ts";
import { flush } from "../support/wait.ts";

/** A log whose reads the test controls. */
class HeldLog {
  readonly reads: { asked: string; answer: PromiseWithResolvers<Page | null> }[] = [];

  get asked(): string[] {
    return this.reads.map(({ asked }) => asked);
  }

  readAfter(pipeline: string, sequence: number): Promise<Page | null> {
    const answer = Promise.withResolvers<Page | null>();
    this.reads.push({ asked: `${pipeline} ${sequence}`, answer });
    return answer.promise;
  }
}

Deno.test("PageReader.read() returns an encoded page of the log", async () => {
  await using test = await createTestLog();
  const { epoch } = await test.log.append("p_a", [1, 2, 3].map((i) => textEvent(`${i}`)));
  const { events, ...page } = (await new PageReader(test.log).read("p_a", 1))!;
  deepEqual(page, { epoch, sequence: 3, after: 1, missed: 0, reason: "evicted" });
  deepEqual([events.epoch, events.first, events.last], [epoch, 2, 3]);
  equal(
    new TextDecoder().decode(events.chunkAfter(1, 3, new ChannelFilter([])).bytes),
    `event: events\ndata: 2\nid: ${epoch}-2\n\nevent: events\ndata: 3\nid: ${epoch}-3\n\n`,
  );
});

Deno.test("PageReader.read() encodes none of the events, most of which a filter may pass over", async () => {
  const log = new HeldLog();
  const reading = new PageReader(log).read("p_a", 0);
  const payload = new TextEncoder().encode("1");
  const events = [{ sequence: 1, time: 0, channel: "a", payload }];
  log.reads[0]!.answer.resolve({
    epoch: "AAECAwQFBgc",
    sequence: 1,
    after: 0,
    missed: 0,
    reason: "evicted",
    events,
  });
  const page = (await reading)!;
  payload[0] = "2".charCodeAt(0);
  const { bytes } = page.events.chunkAfter(0, 1, new ChannelFilter(["a"]));
  equal(new TextDecoder().decode(bytes), "event: a\ndata: 2\nid: AAECAwQFBgc-1\n\n");
});

Deno.test("PageReader.read() returns events that begin after the dropped ones", async () => {
  await using test = await createTestLog();
  await test.log.append("p_a", [1, 2, 3].map((i) => textEvent(`${i}`)));
  await test.log.clear("p_a");
  const { events, ...page } = (await new PageReader(test.log).read("p_a", 1))!;
  deepEqual([page.after, page.missed, page.reason], [3, 2, "cleared"]);
  deepEqual([events.first, events.last], [4, 3]);
});

Deno.test("PageReader.read() reads about 256 KiB", async () => {
  await using test = await createTestLog();
  for (let i = 0; i < 20; i++) await test.log.append("p_a", [textEvent("".padEnd(50_000, "."))]);
  const { events } = (await new PageReader(test.log).read("p_a", 0))!;
  equal(events.last, 6);
});

Deno.test("PageReader.read() returns null when there is no log", async () => {
  await using test = await createTestLog();
  equal(await new PageReader(test.log).read("p_a", 0), null);
});

Deno.test("PageReader.read() reads once for concurrent calls with the same arguments", async () => {
  const log = new HeldLog();
  const pages = new PageReader(log);
  const asked = [["p_a", 1], ["p_a", 1], ["p_a", 2], ["p_b", 1]] as const;
  const answers = asked.map(([pipeline, sequence]) => pages.read(pipeline, sequence));
  deepEqual(log.asked, ["p_a 1", "p_a 2", "p_b 1"]);
  for (const { answer } of log.reads) {
    answer.resolve({ epoch: "", sequence: 0, after: 0, missed: 0, reason: "evicted", events: [] });
  }
  const [a, again, other] = await Promise.all(answers);
  equal(a, again);
  equal(a === other, false);
});

Deno.test("PageReader.read() reads again after a read has succeeded or failed", async () => {
  const log = new HeldLog();
  const pages = new PageReader(log);
  const [page, twin] = [pages.read("p_a", 1), pages.read("p_a", 1)];
  log.reads[0]!.answer.reject(new Error("broken"));
  await rejects(page, /broken/);
  await rejects(twin, /broken/);
  const second = pages.read("p_a", 1);
  log.reads[1]!.answer.resolve(null);
  equal(await second, null);
  const third = pages.read("p_a", 1);
  log.reads[2]!.answer.resolve(null);
  await third;
  equal(log.reads.length, 3);
});

Deno.test("PageReader.read() reads four pages at once, and the others in turn", async () => {
  const log = new HeldLog();
  const pages = new PageReader(log);
  const answers = Promise.allSettled(
    Array.from({ length: 10 }, (_, sequence) => pages.read("p_a", sequence)),
  );
  for (let ended = 0; ended < 10; ended++) {
    await flush();
    deepEqual(
      log.asked,
      Array.from({ length: Math.min(10, ended + 4) }, (_, sequence) => `p_a ${sequence}`),
    );
    // A failed read makes room, too.
    if (ended % 2) log.reads[ended]!.answer.reject(new Error("broken"));
    else log.reads[ended]!.answer.resolve(null);
  }
  await answers;
  for (let sequence = 0; sequence < 5; sequence++) pages.read("p_b", sequence).catch(() => {});
  equal(log.reads.length, 14);
});

Deno.test("PageReader.read() lets no call overtake those that wait", async () => {
  const log = new HeldLog();
  const pages = new PageReader(log);
  for (let sequence = 0; sequence < 5; sequence++) pages.read("p_a", sequence);
  log.reads[0]!.answer.resolve(null);
  await log.reads[0]!.answer.promise;
  pages.read("p_b", 0);
  await flush();
  deepEqual(log.asked.slice(4), ["p_a 4"]);
});

Deno.test("PageReader.read() reads nothing for callers that left before their turn", async () => {
  const log = new HeldLog();
  const pages = new PageReader(log);
  const busy = [1, 2, 3, 4].map((sequence) => pages.read("p_a", sequence));
  let isWanted = true;
  const left = [10, 11, 12].map((sequence) => pages.read("p_b", sequence, () => isWanted));
  const shared = [pages.read("p_b", 13, () => isWanted), pages.read("p_b", 13)];
  isWanted = false;
  for (const { answer } of log.reads) answer.resolve(null);
  deepEqual(await Promise.all(left), [null, null, null]);
  await flush();
  // Only what somebody still wants.
  deepEqual(log.asked.slice(4), ["p_b 13"]);
  log.reads.at(-1)!.answer.resolve(null);
  await Promise.all([...busy, ...shared]);
  // A read that was not made is not remembered.
  const again = pages.read("p_b", 10);
  deepEqual(log.asked.at(-1), "p_b 10");
  log.reads.at(-1)!.answer.resolve(null);
  await again;
  equal(await pages.read("p_b", 14, () => false), null);
  const last = pages.read("p_b", 14);
  equal(log.asked.at(-1), "p_b 14");
  log.reads.at(-1)!.answer.resolve(null);
  await last;
});
