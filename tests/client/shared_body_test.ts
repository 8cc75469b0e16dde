import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { SharedBody } from "../../lib/client/shared_body.ts";
import type { SharedEvent } from "../../lib/client/shared_messages.ts";

const EPOCH = "mSa2Rkz0v-Y";

/** A body, with what it tells and what it sends. */
class Body {
  readonly told: string[] = [];
  readonly body: SharedBody;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #own!: ReadableStreamDefaultController<Uint8Array>;

  constructor(pipelines: readonly string[], lastEventId: string, hasOwn: boolean) {
    const own = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#own = controller),
      cancel: () => void this.told.push("own cancelled"),
    });
    this.body = new SharedBody({
      pipelines,
      lastEventId,
      own: hasOwn ? own : null,
      onLive: () => this.told.push("live"),
      onFed: () => this.told.push("fed"),
      onTaken: (length) => this.told.push(`taken ${length}`),
      onHurry: () => this.told.push("hurry"),
      onClosed: () => this.told.push("closed"),
    });
    this.#reader = this.body.stream.pipeThrough(new TextDecoderStream()).getReader();
  }

  fail(): void {
    this.#own.error(new TypeError("connection reset"));
  }

  send(text: string): void {
    this.#own.enqueue(new TextEncoder().encode(text));
  }

  async read(): Promise<string | undefined> {
    return (await this.#reader.read()).value;
  }
}

const id = (sequence: number) => `${EPOCH}-${sequence}`;
const block = (sequence: number, type = "orders", data = `${sequence}`) =>
  `event: ${type}\ndata: ${data}\nid: ${id(sequence)}\n\n`;
const live = (sequence: number, replayed = 0) =>
  block(sequence, "runnel.live", JSON.stringify({ replayed }));
const event = (sequence: number, pipeline = "p_a"): SharedEvent => ({
  type: "event",
  pipeline,
  id: id(sequence),
  channel: "orders",
  data: `${sequence}`,
});
const since = (sequence: number) => new Map([["p_a", id(sequence)]]);

Deno.test("SharedBody passes the stream of the tab on until it has all that a feed does not bring", async () => {
  const tab = new Body(["p_a"], "", true);
  tab.send(`retry: 100\n${block(1)}${live(1, 1)}`);
  equal(await tab.read(), `retry: 100\n${block(1)}${live(1, 1)}`);
  equal(tab.body.isApart, true);
  equal(tab.body.begin(7, since(3)), true);
  tab.body.take({ type: "events", feed: 7, events: [event(4)] });
  tab.send(block(2));
  equal(await tab.read(), block(2));
  // Not the half of an event, either.
  tab.send(`${block(3)}event: orders\ndata: 4`);
  equal(await tab.read(), block(3));
  equal(await tab.read(), block(4));
  deepEqual(tab.told, ["live", "own cancelled", "fed", "taken 1"]);
});

Deno.test("SharedBody drops from a feed the events that the tab has", async () => {
  const tab = new Body(["p_a"], "", true);
  tab.send(`${block(5)}${live(5, 1)}`);
  await tab.read();
  tab.body.begin(1, since(2));
  tab.body.take({ type: "events", feed: 1, events: [3, 4, 5, 6].map((each) => event(each)) });
  equal(await tab.read(), block(6));
});

Deno.test("SharedBody without a stream of the tab continues after its ID, and is live after the replay", async () => {
  const tab = new Body(["p_a"], id(2), false);
  tab.body.begin(1, since(1));
  tab.body.take({ type: "events", feed: 1, events: [event(2), event(3)] });
  tab.body.take({ type: "live", feed: 1 });
  tab.body.take({ type: "positions", feed: 1, positions: since(9) });
  equal(await tab.read(), block(3));
  equal(await tab.read(), live(3, 1));
  equal(await tab.read(), `:\nid: ${id(9)}\n\n`);
});

Deno.test("SharedBody has the positions of all pipelines in each ID", async () => {
  const tab = new Body(["p_b", "p_a"], `${id(20)}.${id(2)}`, false);
  tab.body.begin(1, new Map([["p_a", id(2)], ["p_b", id(20)]]));
  tab.body.take({ type: "events", feed: 1, events: [event(3, "p_a"), event(21, "p_b")] });
  tab.body.take({ type: "live", feed: 1 });
  equal(
    await tab.read(),
    `event: p_a/orders\ndata: 3\nid: ${id(20)}.${id(3)}\n\n` +
      `event: p_b/orders\ndata: 21\nid: ${id(21)}.${id(3)}\n\n`,
  );
  const text = `${await tab.read()}`;
  equal(text.split("\n")[1], `data: {"pipeline":"p_b","replayed":1}`);
});

Deno.test("SharedBody fails, to come back at once, when the feed does not continue there", async () => {
  const other: SharedEvent = { ...event(4), id: "AAAAAAAAAAA-4" };
  const gap = (after: number, upTo: number): SharedEvent => ({
    type: "gap",
    pipeline: "p_a",
    id: id(9),
    after: id(after),
    upTo: id(upTo),
    missed: 2,
    reason: "evicted",
  });
  for (const events of [[other], [gap(4, 6)], [gap(1, 2)]]) {
    const tab = new Body(["p_a"], id(3), false);
    tab.body.begin(1, since(3));
    tab.body.take({ type: "events", feed: 1, events });
    await rejects(tab.read(), /The shared stream does not continue here/);
    deepEqual(tab.told.slice(-2), ["hurry", "closed"]);
  }
  const tab = new Body(["p_a"], id(3), false);
  tab.body.begin(1, since(3));
  tab.body.take({ type: "events", feed: 1, events: [gap(3, 7)] });
  equal(await tab.read(), block(9, "runnel.gap", `{"missed":2,"reason":"evicted"}`));
});

Deno.test("SharedBody keeps the stream of the tab when the feed stops, or is of another log", async () => {
  const tab = new Body(["p_a"], "", true);
  tab.send(live(5));
  await tab.read();
  equal(tab.body.begin(1, new Map([["p_a", "AAAAAAAAAAA-5"]])), false);
  equal(tab.body.begin(2, since(9)), true);
  equal(tab.body.take({ type: "stop", feed: 1, reason: "old", isPlanned: true }), false);
  equal(tab.body.take({ type: "stop", feed: 2, reason: "gone", isPlanned: true }), true);
  tab.send(block(6));
  equal(await tab.read(), block(6));
  equal(tab.body.isApart, true);
});

Deno.test("SharedBody fails as the stream of the tab does, until that is left", async () => {
  const tab = new Body(["p_a"], "", true);
  tab.send(live(5));
  await tab.read();
  tab.fail();
  await rejects(tab.read(), /connection reset/);
  deepEqual(tab.told, ["live", "closed"]);
});

Deno.test("SharedBody closes after the ends of all runs, whoever brings them", async () => {
  const tab = new Body(["p_a"], id(3), false);
  tab.body.begin(1, since(3));
  tab.body.take({
    type: "events",
    feed: 1,
    events: [event(4), { type: "end", pipeline: "p_a", id: id(5), events: 4 }],
  });
  equal(await tab.read(), block(4) + block(5, "runnel.end", `{"events":4}`));
  equal(await tab.read(), undefined);
  deepEqual(tab.told.at(-1), "closed");
});
