import { ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parseEventId } from "../../lib/protocol/event.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { type PublishedEvent, SubscriberRecord } from "../support/clients/subscriber_record.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { jsonPost, startService, type TestService } from "../support/service.ts";

const PIPELINE = "p_model";
const CHANNELS = ["orders", "names", "errors"];
const HISTORY = 20;
const PUBLISHERS = 3;
const SUBSCRIBERS = 6;
const REQUESTS = 60;

/** Random actions of publishers, subscribers and an operator on one pipeline, with their checks. */
class Model {
  readonly #random: SeededRandom;
  readonly #path: string;
  readonly #clock = new FakeClock();
  readonly #log: PublishedEvent[] = [];
  readonly #readers = new Set<StreamReader>();
  #service!: TestService;
  #published = 0;
  #clears = 0;

  constructor(seed: number, path: string) {
    this.#random = new SeededRandom(seed);
    this.#path = path;
  }

  async run(): Promise<{ delivered: number; missed: number }> {
    await this.#start();
    const records = Array.from({ length: SUBSCRIBERS }, () =>
      new SubscriberRecord(
        this.#random.chance(0.3) ? [this.#random.pick(CHANNELS)] : [],
        HISTORY,
      ));
    const publishers = Array.from({ length: PUBLISHERS }, (_, index) => this.#publish(index));
    const done = Promise.all(publishers);
    let over = false;
    done.finally(() => over = true);
    await Promise.all([
      done,
      this.#interfere(() => over),
      ...records.map((record) => this.#subscribe(record, () => over)),
    ]);
    for (const record of records) await this.#readToTheEnd(record);
    const { hub, log } = this.#service;
    equal(hub.stats.subscribers, 0);
    equal(hub.stats.pipelines, 0);
    equal(log.pending.waitingBytes, 0);
    await this.#service[Symbol.asyncDispose]();
    // The clock jumps past deadlines; no other error is expected.
    const others = this.#service.reports.filter((line) => !/did not answer within/.test(line));
    equal(others.join("\n"), "");
    const sums = { delivered: 0, missed: 0 };
    for (const record of records) {
      const { delivered, missed } = record.verify(this.#log, this.#clears > 0);
      sums.delivered += delivered;
      sums.missed += missed;
    }
    return sums;
  }

  async #start(): Promise<void> {
    this.#service = await startService({
      clock: this.#clock,
      random: this.#random.next,
      open: () => Deno.openKv(this.#path),
      settings: {
        RUNNEL_HISTORY: String(HISTORY),
        RUNNEL_RETENTION: "40",
        RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024),
      },
    });
  }

  async #publish(publisher: number): Promise<void> {
    for (let request = 0; request < REQUESTS; request++) {
      const count = this.#random.chance(0.3) ? this.#random.integer(2, 30) : 1;
      const events = Array.from({ length: count }, (_, index) => ({
        pipeline: PIPELINE,
        channel: this.#random.pick(CHANNELS),
        payload: {
          publisher,
          request,
          index,
          filling: "x".repeat(this.#random.chance(0.02) ? 50_000 : 10),
        },
      }));
      const key = `${publisher}.${request}`;
      const ids = await this.#publishUntilAccepted(events, key);
      events.forEach(({ channel, payload }, index) => {
        const { sequence } = parseEventId(ids[index]!)!;
        ok(this.#log[sequence - 1] === undefined, `event ${sequence} was accepted twice`);
        this.#log[sequence - 1] = { channel, data: JSON.stringify(payload) };
      });
      this.#published++;
      await this.#breathe();
    }
  }

  async #publishUntilAccepted(events: unknown, key: string): Promise<string[]> {
    while (true) {
      const request = jsonPost("/ingest", events, { "Idempotency-Key": key });
      const response = await this.#service.fetch(request);
      const body = await response.json();
      if (response.status === 202) return body.events.map(({ id }: { id: string }) => id);
      equal(response.status, 503);
      await this.#breathe();
    }
  }

  async #subscribe(record: SubscriberRecord, over: () => boolean): Promise<void> {
    while (!over()) {
      const reader = await this.#connect(record);
      if (!reader) continue;
      const patience = this.#random.integer(1, 200);
      for (let i = 0; i < patience && !over(); i++) {
        if (this.#random.chance(0.1)) await this.#breathe();
        const event = await this.#readOrGiveUp(reader, over);
        if (!event) break;
        record.take(event);
      }
      this.#readers.delete(reader);
      await reader.cancel();
    }
  }

  /** Returns the next event, or nothing if the stream or the run ends first. */
  async #readOrGiveUp(reader: StreamReader, over: () => boolean) {
    const next = reader.event();
    let event;
    let arrived = false;
    next.then((value) => [event, arrived] = [value, true]);
    while (!arrived && !over()) await this.#breathe();
    return arrived ? event : null;
  }

  async #connect(record: SubscriberRecord): Promise<StreamReader | null> {
    const newest = this.#log.length;
    const query = record.channels.map((channel) => `channel=${channel}`).join("&");
    const url = `http://localhost:8000/pipelines/${PIPELINE}/sse?${query}`;
    const headers = new Headers(record.lastEventId ? { "Last-Event-ID": record.lastEventId } : {});
    const response = await this.#service.fetch(new Request(url, { headers }));
    if (response.status !== 200) {
      // The service is restarting, or the clock jumped past its deadline.
      equal(response.status, 503);
      await response.body!.cancel();
      await this.#breathe();
      return null;
    }
    const reader = new StreamReader(response);
    record.open(newest);
    this.#readers.add(reader);
    return reader;
  }

  async #readToTheEnd(record: SubscriberRecord): Promise<void> {
    let reader;
    while (!(reader = await this.#connect(record)));
    for (const event of await reader.until("runnel.live")) record.take(event);
    await reader.cancel();
  }

  async #interfere(over: () => boolean): Promise<void> {
    while (!over()) {
      for (let i = 0; i < 20 && !over(); i++) await this.#breathe();
      const choice = this.#random.integer(1, 10);
      if (choice <= 1) await this.#restart();
      else if (choice <= 2) {
        this.#clears++;
        await this.#service.hub.clear(PIPELINE).catch(() => {});
      } else if (choice <= 6) this.#clock.advance(this.#random.integer(1, 120_000));
    }
  }

  async #restart(): Promise<void> {
    const old = this.#service;
    await old[Symbol.asyncDispose]();
    await this.#start();
  }

  async #breathe(): Promise<void> {
    this.#clock.advance(1);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

Deno.test("Every subscriber gets every event once and in order, or a gap with the right count", async () => {
  const folder = await Deno.makeTempDir();
  let runs = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const { delivered } = await new Model(seed, `${folder}/${runs++}.sqlite`).run();
        ok(delivered > 100);
      }),
      { numRuns: 6, endOnFailure: true },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
