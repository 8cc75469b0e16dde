import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { ChannelFilter } from "../../lib/protocol/channel_filter.ts";
import { EncodedEvents } from "../../lib/stream/encoded_events.ts";
import type { EncodedPage } from "../../lib/stream/page_reader.ts";
import { Replay } from "../../lib/stream/replay.ts";
import { EVENT_FORM, formsOf } from "../../lib/stream/stream_form.ts";
import { EVENT_STREAM } from "../../lib/stream/syntax.ts";

const EPOCH = "AAECAwQFBgc";
const ALL = new ChannelFilter([]);

/** Events whose payloads are their sequences; even ones on channel "even", others on "odd". */
function eventsOf(first: number, last: number, epoch = EPOCH): EncodedEvents {
  const events = new EncodedEvents(epoch, first - 1);
  for (let sequence = first; sequence <= last; sequence++) append(events, sequence);
  return events;
}

function append(events: EncodedEvents, sequence: number): void {
  const payload = new TextEncoder().encode(String(sequence));
  const channel = sequence % 2 === 0 ? "even" : "odd";
  events.append([{ sequence, time: 0, channel, payload }]);
}

function pageOf(first: number, last: number, rest: Partial<EncodedPage> = {}): EncodedPage {
  const events = eventsOf(first, last);
  return {
    epoch: EPOCH,
    sequence: last,
    after: first - 1,
    missed: 0,
    reason: "evicted",
    events,
    ...rest,
  };
}

/** The data of what is next, and its last ID; the reason if there is nothing. */
function read(bytes: ReturnType<Replay["next"]>): string | { data: string[]; id: number } {
  if (typeof bytes === "string") return bytes;
  const text = new TextDecoder().decode(bytes);
  const id = [...text.matchAll(/^id: .{11}-(\d+)$/gm)].at(-1)![1];
  return { data: [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data!), id: Number(id) };
}

Deno.test("Replay.next() returns the history with the live marker, and then live events", () => {
  const newest = eventsOf(1, 5);
  const replay = Replay.ofHistory(newest, ALL, EVENT_FORM, 2);
  append(newest, 6);
  const data = ["3", "4", "5", '{"replayed":3}'];
  deepEqual(read(replay.next(newest, Infinity)), { data, id: 5 });
  deepEqual(read(replay.next(newest, Infinity)), { data: ["6"], id: 6 });
  equal(read(replay.next(newest, Infinity)), "caught-up");
});

Deno.test("Replay.next() returns nothing beyond its limit, in either phase", () => {
  const newest = eventsOf(1, 5);
  const replay = Replay.after(newest, ALL, EVENT_FORM, 1);
  deepEqual(read(replay.next(newest, 3)), { data: ["2", "3"], id: 3 });
  equal(read(replay.next(newest, 3)), "caught-up", "the replay is not over");
  deepEqual(read(replay.next(newest, 5)), { data: ["4", "5"], id: 5 });
  deepEqual(read(replay.next(newest, 5)), { data: ['{"replayed":4}'], id: 5 });
  append(newest, 6);
  equal(read(replay.next(newest, 5)), "caught-up");
});

Deno.test("Replay.takePosition() returns a position that a filter kept from the client, once", () => {
  const newest = eventsOf(1, 5);
  const replay = Replay.ofHistory(newest, new ChannelFilter(["even"]), EVENT_FORM, 0);
  deepEqual(read(replay.next(newest, 3)), { data: ["2"], id: 2 });
  equal(replay.takePosition(), `${EPOCH}-3`);
  equal(replay.takePosition(), undefined);
  deepEqual(read(replay.next(newest, Infinity)), { data: ["4"], id: 4 });
  equal(replay.takePosition(), `${EPOCH}-5`);
  equal(replay.takePosition(), undefined);
  deepEqual(read(replay.next(newest, Infinity)), { data: ['{"replayed":2}'], id: 5 });
  append(newest, 6);
  append(newest, 7);
  deepEqual(read(replay.next(newest, Infinity)), { data: ["6"], id: 6 });
  equal(replay.takePosition(), `${EPOCH}-7`);
});

Deno.test("Replay.takePosition() returns nothing that the marker has told", () => {
  const replay = Replay.ofHistory(eventsOf(1, 5), new ChannelFilter(["even"]), EVENT_FORM, 0);
  const data = ["2", "4", '{"replayed":2}'];
  deepEqual(read(replay.next(eventsOf(1, 5), Infinity)), { data, id: 5 });
  equal(replay.takePosition(), undefined);
});

Deno.test("Replay.next() returns the marker alone when there is no event to replay", () => {
  const newest = eventsOf(1, 5);
  const none = { data: ['{"replayed":0}'], id: 5 };
  deepEqual(read(Replay.after(newest, ALL, EVENT_FORM, 5).next(newest, Infinity)), none);
  const filtered = Replay.ofHistory(newest, new ChannelFilter(["none"]), EVENT_FORM, 0);
  deepEqual(read(filtered.next(newest, Infinity)), none);
});

Deno.test("Replay.next() needs pages until the newest events follow", () => {
  const newest = eventsOf(7, 8);
  const replay = Replay.after(newest, ALL, EVENT_FORM, 2);
  equal(read(replay.next(newest, Infinity)), "page-needed");
  equal(replay.addPage(pageOf(3, 5)), null);
  deepEqual(read(replay.next(newest, Infinity)), { data: ["3", "4", "5"], id: 5 });
  equal(read(replay.next(newest, Infinity)), "page-needed");
  equal(replay.cursor, 5);
  replay.addPage(pageOf(6, 8));
  deepEqual(read(replay.next(newest, Infinity)), { data: ["6", "7", "8"], id: 8 });
});

Deno.test("Replay.addPage() passes over what a filter leaves out before the page", () => {
  const newest = eventsOf(7, 8);
  const replay = Replay.ofHistory(newest, new ChannelFilter(["even"]), EVENT_FORM, 1);
  equal(replay.addPage(pageOf(4, 5)), null);
  deepEqual(read(replay.next(newest, Infinity)), { data: ["4"], id: 4 });
  equal(read(replay.next(newest, Infinity)), "page-needed");
  equal(replay.addPage({ ...pageOf(7, 6), sequence: 8 }), null);
  deepEqual(read(replay.next(newest, Infinity)), { data: ["8"], id: 8 });
});

Deno.test("Replay.addPage() returns a gap event when events before the page are missed", () => {
  const newest = eventsOf(7, 8);
  const replay = Replay.after(newest, ALL, EVENT_FORM, 2);
  const gap = replay.addPage(pageOf(5, 6, { missed: 2 }));
  deepEqual(gap, { missed: 2, reason: "evicted" });
  deepEqual(read(replay.gap(gap!)), { data: ['{"missed":2,"reason":"evicted"}'], id: 4 });
  deepEqual(read(replay.next(newest, Infinity)), { data: ["5", "6"], id: 6 });
});

Deno.test("Replay.addPage() returns no gap event before anything of the history was sent", () => {
  const newest = eventsOf(7, 8);
  const replay = Replay.ofHistory(newest, ALL, EVENT_FORM, 2);
  equal(replay.addPage(pageOf(5, 6, { missed: 2 })), null);
  deepEqual(read(replay.next(newest, Infinity)), { data: ["5", "6"], id: 6 });
});

Deno.test("Replay.addPage() returns a gap event after a part of the history was sent", () => {
  const newest = eventsOf(7, 8);
  const replay = Replay.ofHistory(newest, ALL, EVENT_FORM, 2);
  replay.addPage(pageOf(3, 4));
  deepEqual(read(replay.next(newest, Infinity)), { data: ["3", "4"], id: 4 });
  const gap = replay.addPage(pageOf(6, 6, { missed: 1 }));
  deepEqual(read(replay.gap(gap!)), { data: ['{"missed":1,"reason":"evicted"}'], id: 5 });
});

Deno.test("Replay.next() goes on in the page when the replay ends in the middle of it", () => {
  const replay = Replay.after(eventsOf(3, 4), ALL, EVENT_FORM, 1);
  const newest = eventsOf(7, 8);
  replay.addPage(pageOf(2, 6));
  const data = ["2", "3", "4", '{"replayed":3}'];
  deepEqual(read(replay.next(newest, Infinity)), { data, id: 4 });
  deepEqual(read(replay.next(newest, Infinity)), { data: ["5", "6"], id: 6 });
  deepEqual(read(replay.next(newest, Infinity)), { data: ["7", "8"], id: 8 });
});

Deno.test("Replay.addPage() ignores a page of another log, and no page", () => {
  const newest = eventsOf(7, 8);
  const replay = Replay.after(newest, ALL, EVENT_FORM, 2);
  equal(replay.addPage(pageOf(3, 6, { epoch: "AAAAAAAAAAA", missed: 1 })), null);
  equal(read(replay.next(newest, Infinity)), "page-needed");
  equal(replay.addPage(null), null);
  equal(read(replay.next(newest, Infinity)), "page-needed");
});

Deno.test("Replay.dropPage() frees the page, which is needed again", () => {
  const newest = eventsOf(7, 8);
  const replay = Replay.after(newest, ALL, EVENT_FORM, 2);
  replay.addPage(pageOf(3, 6));
  replay.dropPage();
  equal(read(replay.next(newest, Infinity)), "page-needed");
});

Deno.test("Replay.isIn() is false for another log, and for one that is behind", () => {
  const replay = Replay.after(eventsOf(1, 5), ALL, EVENT_FORM, 5);
  equal(replay.isIn(eventsOf(3, 5)), true);
  equal(replay.isIn(eventsOf(1, 4)), false);
  equal(replay.isIn(eventsOf(1, 5, "AAAAAAAAAAA")), false);
});

Deno.test("Replay.isIn() is false for a log that ends before the replay does", () => {
  const replay = Replay.after(eventsOf(1, 5), ALL, EVENT_FORM, 2);
  equal(replay.isIn(eventsOf(1, 4)), false);
  equal(replay.isIn(eventsOf(1, 5)), true);
});

Deno.test("Replay.gap() has the ID of the position that the stream has reached", () => {
  const replay = Replay.ofHistory(eventsOf(1, 5), ALL, EVENT_FORM, 3);
  deepEqual(read(replay.gap({ missed: null, reason: "unknown" })), {
    data: ['{"missed":null,"reason":"unknown"}'],
    id: 3,
  });
});

Deno.test("Replay of a stream of several pipelines keeps no event of a page that it has sent", () => {
  const pipelines = Array.from({ length: 10 }, (_, index) => `p_${index}`);
  const forms = formsOf(pipelines, { syntax: EVENT_STREAM, traces: false, joined: true });
  forms.forEach((form, index) =>
    form.reached({ position: { epoch: `BBECAwQFBg${index}`, sequence: 10 ** 14 } })
  );
  const newest = eventsOf(1001, 1001);
  const replays = [1, 2].map(() => Replay.after(newest, ALL, forms[0]!, 0));
  const page = pageOf(1, 1000);
  const [first, second] = replays.map((replay) => {
    equal(replay.next(newest, Infinity), "page-needed");
    replay.addPage(page);
    const bytes = replay.next(newest, Infinity) as Uint8Array;
    equal(replay.cursor < 1000, true, "the page is more than a chunk");
    equal(replay.pageBytes, eventsOf(replay.cursor + 1, 1000).bytes);
    return [bytes, replay.next(newest, Infinity)];
  });
  equal(first![1] instanceof Uint8Array, true);
  equal(first![1], second![1], "what is left of it is shared");
  equal(replays[0]!.pageBytes, 0);
});
