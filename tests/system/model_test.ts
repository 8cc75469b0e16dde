import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parseEventId } from "../../lib/protocol/event.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { SubscriberRecord } from "../support/clients/subscriber_record.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { Appender } from "../support/model/appender.ts";
import { ModelService } from "../support/model/model_service.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { StoredEvents } from "../support/model/stored_events.ts";
import { jsonPost } from "../support/service.ts";

const PIPELINE = "p_model";
const CHANNELS = ["orders", "names", "errors"];
const HISTORY = 20;
const PUBLISHERS = 3;
const APPENDERS = 2;
const SUBSCRIBERS = 6;
const REQUESTS = 60;
const APPENDS = 12;

/** Random actions of publishers, appenders, subscribers and an operator on one pipeline, with their checks. */
class Model {
  readonly #random: SeededRandom;
  readonly #path: string;
  readonly #stored = new StoredEvents(PIPELINE);
  readonly #readers = new Set<StreamReader>();
  #service!: ModelService;
  /** Sequence of the newest event that was accepted. */
  #newest = 0;
  #clears = 0;

  constructor(seed: number, path: string) {
    this.#random = new SeededRandom(seed);
    this.#path = path;
  }

  async run(): Promise<{ delivered: number; missed: number }> {
    this.#service = await ModelService.start({
      random: this.#random,
      path: this.#path,
      stored: this.#stored,
      settings: {
        RUNNEL_HISTORY: String(HISTORY),
        RUNNEL_RETENTION: "40",
        RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024),
      },
    });
    const records = Array.from({ length: SUBSCRIBERS }, () =>
      new SubscriberRecord(
        this.#random.chance(0.3) ? [this.#random.pick(CHANNELS)] : [],
        HISTORY,
      ));
    const publishers = Array.from({ length: PUBLISHERS }, (_, index) => this.#publish(index));
    const appenders = Array.from({ length: APPENDERS }, (_, index) => this.#append(`a${index}`));
    let over = false;
    const done = Promise.all([...publishers, ...appenders]).finally(() => over = true);
    await Promise.all([
      done,
      this.#service.disturb(PIPELINE, () => over, () => this.#clears++),
      ...records.map((record) => this.#subscribe(record, () => over)),
    ]);
    await this.#service.whileTimePasses(this.#readToTheEnd(records));
    await this.#service.end();
    const sums = { delivered: 0, missed: 0 };
    for (const record of records) {
      const { delivered, missed } = record.verify(this.#stored.log, this.#clears > 0);
      sums.delivered += delivered;
      sums.missed += missed;
    }
    return sums;
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
      await this.#stored.noted();
      events.forEach(({ channel, payload }, index) => {
        const { sequence } = parseEventId(ids[index]!)!;
        const event = { channel, data: JSON.stringify(payload) };
        deepEqual(this.#stored.log[sequence - 1], event, `event ${sequence}`);
        equal(this.#stored.log.filter(({ data }) => data === event.data).length, 1);
        this.#newest = Math.max(this.#newest, sequence);
      });
      await this.#service.breathe();
    }
  }

  async #append(name: string): Promise<void> {
    const appender = new Appender({
      service: this.#service,
      stored: this.#stored,
      random: this.#random,
      pipeline: PIPELINE,
      name,
      channels: CHANNELS,
    });
    for (let append = 0; append < APPENDS; append++) {
      const isKeyed = this.#random.chance(0.8);
      equal(await appender.send(appender.prepare({ isKeyed })), false, "the run goes on");
      await this.#service.breathe();
    }
    appender.verify();
  }

  async #publishUntilAccepted(events: unknown, key: string): Promise<string[]> {
    while (true) {
      const request = jsonPost("/ingest", events, { "Idempotency-Key": key });
      const response = await this.#service.now.fetch(request);
      const body = await response.json();
      if (response.status === 202) return body.events.map(({ id }: { id: string }) => id);
      equal(response.status, 503);
      await this.#service.breathe();
    }
  }

  async #subscribe(record: SubscriberRecord, over: () => boolean): Promise<void> {
    while (!over()) {
      const reader = await this.#connect(record);
      if (!reader) continue;
      const patience = this.#random.integer(1, 200);
      for (let i = 0; i < patience && !over(); i++) {
        if (this.#random.chance(0.1)) await this.#service.breathe();
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
    while (!arrived && !over()) await this.#service.breathe();
    return arrived ? event : null;
  }

  async #connect(record: SubscriberRecord): Promise<StreamReader | null> {
    const newest = this.#newest;
    const query = record.channels.map((channel) => `channel=${channel}`).join("&");
    const url = `http://localhost:8000/pipelines/${PIPELINE}/sse?${query}`;
    const headers = new Headers(record.lastEventId ? { "Last-Event-ID": record.lastEventId } : {});
    const response = await this.#service.now.fetch(new Request(url, { headers }));
    if (response.status !== 200) {
      // The service is restarting, or the clock jumped past its deadline.
      equal(response.status, 503);
      await response.body!.cancel();
      await this.#service.breathe();
      return null;
    }
    const reader = new StreamReader(response);
    record.open(newest);
    this.#readers.add(reader);
    return reader;
  }

  async #readToTheEnd(records: readonly SubscriberRecord[]): Promise<void> {
    for (const record of records) {
      let reader;
      while (!(reader = await this.#connect(record)));
      for (const event of await reader.until("runnel.live")) record.take(event);
      await reader.cancel();
    }
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
      { ...repetitions(6), endOnFailure: true },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
