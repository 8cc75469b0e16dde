/**
 * Runs that end, and begin anew: writers race with the end, subscribers come before and
 * after it, and an operator interferes.
 *
 * @module
 */

import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parseEventId } from "../../lib/protocol/event.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { SubscriberRecord } from "../support/clients/subscriber_record.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { Appender, type ModelAppend } from "../support/model/appender.ts";
import { ModelService } from "../support/model/model_service.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { StoredEvents } from "../support/model/stored_events.ts";
import { jsonPost } from "../support/service.ts";

const PIPELINE = "p_run";
const CHANNELS = ["orders", "names"];
const HISTORY = 20;
const WRITERS = 2;
const SUBSCRIBERS = 5;
const RUNS = 3;

/** Way to end a run. */
type Ending = "route" | "publish" | "append";

/** A subscriber, over several runs. */
interface Subscriber {
  channels: string[];
  /** Last event ID of the run before; empty if it had none. */
  former: string;
  record: SubscriberRecord;
  /** Connections of this run that it opened. */
  connections: number;
}

/** Random actions on one pipeline that ends, and begins anew, with their checks. */
class RunModel {
  readonly #random: SeededRandom;
  readonly #path: string;
  readonly #stored = new StoredEvents(PIPELINE);
  readonly #subscribers: Subscriber[] = [];
  #service!: ModelService;
  #clears = 0;

  constructor(seed: number, path: string) {
    this.#random = new SeededRandom(seed);
    this.#path = path;
  }

  /** Returns the number of events of all runs. */
  async run(): Promise<number> {
    this.#service = await ModelService.start({
      random: this.#random,
      path: this.#path,
      stored: this.#stored,
      settings: { RUNNEL_HISTORY: String(HISTORY), RUNNEL_RETENTION: "40" },
    });
    for (let i = 0; i < SUBSCRIBERS; i++) {
      const channels = this.#random.chance(0.3) ? [this.#random.pick(CHANNELS)] : [];
      const record = new SubscriberRecord(channels, HISTORY);
      this.#subscribers.push({ channels, former: "", record, connections: 0 });
    }
    for (let run = 0; run < RUNS; run++) {
      await this.#oneRun(run);
      const deleted = this.#untilAccepted(() => this.#ask("", { method: "DELETE" }), 204);
      await this.#service.whileTimePasses(deleted);
    }
    await this.#service.end();
    equal(this.#stored.byEpoch.size, RUNS);
    return [...this.#stored.byEpoch.values()].flat().length;
  }

  async #oneRun(run: number): Promise<void> {
    this.#clears = 0;
    let over = false;
    const writers = [
      ...Array.from({ length: WRITERS }, (_, index) => this.#publish(`${run}.p${index}`)),
      ...Array.from({ length: WRITERS }, (_, index) => this.#append(`${run}.a${index}`)),
    ];
    const done = Promise.all([this.#end(`${run}.end`), ...writers]).finally(() => over = true);
    const listening = this.#subscribers.map((subscriber) => this.#listen(subscriber));
    await Promise.all([
      done,
      this.#service.disturb(PIPELINE, () => over, () => this.#clears++),
      ...listening,
    ]);
    await this.#service.whileTimePasses(this.#checkEnd(run));
  }

  /** Asserts that the run has ended, and stays so. */
  async #checkEnd(run: number): Promise<void> {
    await this.#stored.noted();
    const { log } = this.#stored;
    const { channel, data } = log.at(-1)!;
    const events = log.filter((event) => event).length - 1;
    deepEqual([channel, data], ["runnel.end", JSON.stringify({ events })]);
    equal(log.filter((event) => event?.channel === "runnel.end").length, 1);
    await this.#refused();
    if (this.#random.chance(0.3)) {
      await this.#untilAccepted(() => this.#ask("/events", { method: "DELETE" }), 204);
      await this.#refused();
    }
    if (this.#random.chance(0.5)) await this.#service.restart();
    for (const subscriber of this.#subscribers) await this.#comeBack(subscriber, run);
  }

  /** Publishes until the run has ended; then its last request still gets its answer. */
  async #publish(name: string): Promise<void> {
    let last: { request: () => Promise<Response>; answer: unknown } | null = null;
    for (let number = 0;; number++) {
      const channel = this.#random.pick(CHANNELS);
      const body = { pipeline: PIPELINE, channel, payload: { publish: `${name}.${number}` } };
      const request = () => this.#ingest(body, `${name}.${number}`);
      const { status, answer } = await this.#untilAccepted(request, 202, 409);
      if (status === 409) break;
      await this.#stored.noted();
      const { sequence } = parseEventId(answer.events[0].id)!;
      const event = { channel, data: JSON.stringify(body.payload) };
      deepEqual(this.#stored.log[sequence - 1], event);
      last = { request, answer };
    }
    if (!last) return;
    const { answer } = await this.#untilAccepted(last.request, 202);
    deepEqual(answer, last.answer, "a publish that is repeated after the end");
  }

  /** Appends until the run has ended; then its last whole append still gets its answer. */
  async #append(name: string): Promise<void> {
    const appender = this.#appender(name);
    let last: ModelAppend | null = null;
    while (true) {
      const append = appender.prepare({ isKeyed: this.#random.chance(0.7) });
      if (await appender.send(append)) break;
      if (append.key !== undefined) last = append;
    }
    appender.verify();
    if (last) equal(await appender.send(last), false, "an append that is repeated after the end");
    appender.verify();
  }

  async #end(name: string): Promise<void> {
    for (let i = this.#random.integer(0, 200); i > 0; i--) await this.#service.breathe();
    const ending = this.#random.pick<Ending>(["route", "publish", "append"]);
    if (ending === "append") {
      const appender = this.#appender(name);
      equal(await appender.send(appender.prepare({ ends: true })), false, "nobody else ends it");
      return appender.verify();
    }
    const channel = CHANNELS[0];
    const event = { pipeline: PIPELINE, channel, payload: { publish: name }, end: true };
    const request = ending === "route"
      ? () => this.#ask("/end", { method: "POST" })
      : () => this.#ingest(event, name);
    const { answer } = await this.#untilAccepted(request, 202);
    await this.#stored.noted();
    equal(this.#stored.log[parseEventId(answer.end.id)!.sequence - 1]!.channel, "runnel.end");
    const again = await this.#untilAccepted(request, 202);
    deepEqual(again.answer, answer, "to end it again changes nothing");
  }

  /** Asserts that nothing more is taken. */
  async #refused(): Promise<void> {
    const { length } = this.#stored.log;
    const event = { pipeline: PIPELINE, channel: CHANNELS[0], payload: "late" };
    await this.#untilAccepted(() => this.#ingest(event, "late"), 409);
    const late = this.#appender("late");
    equal(await late.send(late.prepare()), true);
    equal(this.#stored.log.length, length);
  }

  /** Subscribes as an `EventSource` does, until the run has ended. */
  async #listen(subscriber: Subscriber): Promise<void> {
    const { channels, former } = subscriber;
    const record = new SubscriberRecord(channels, HISTORY);
    Object.assign(subscriber, { record, connections: 0 });
    for (let i = this.#random.integer(0, 100); i > 0; i--) await this.#service.breathe();
    while (true) {
      const response = await this.#open(channels, record.lastEventId || former);
      if (!response) continue;
      const reader = new StreamReader(response);
      const patience = this.#random.integer(1, 150);
      let isOpen = false;
      for (let i = 0; i < patience; i++) {
        const event = await reader.event();
        if (event === null) break;
        if (!isOpen) {
          isOpen = true;
          subscriber.connections++;
          record.open(0);
        }
        const isFormer = record.lastEventId === "" && former !== "";
        if (isFormer && event.type === "runnel.gap") {
          // That of another epoch.
          equal(JSON.parse(event.data).missed, null);
          continue;
        }
        ok(!isFormer || subscriber.connections > 1 || event.type !== "runnel.end");
        record.take(event);
        if (event.type !== "runnel.end") continue;
        equal(await reader.event(), null, "the stream closes after the end");
        return;
      }
      await reader.cancel();
    }
  }

  /** Asserts what a subscriber gets that comes back after the end, and what it got before. */
  async #comeBack(subscriber: Subscriber, run: number): Promise<void> {
    const { record, channels } = subscriber;
    const end = record.lastEventId;
    const answer = () => this.#request(channels, end);
    equal((await this.#untilAccepted(answer, 204)).status, 204);
    const { log } = this.#stored;
    record.verify(log, this.#clears > 0 || run > 0);
    // One that comes now, and one that comes from another epoch.
    for (const id of ["", subscriber.former]) {
      let response;
      while (!(response = await this.#open(channels, id)));
      const reader = new StreamReader(response);
      const types = (await reader.events(Infinity)).map(({ type }) => type);
      const controls = types.filter((type) => type.startsWith("runnel."));
      const gap = id === "" ? [] : ["runnel.gap"];
      deepEqual(controls, [...gap, "runnel.live", "runnel.end"]);
      equal(types.at(-1), "runnel.end");
    }
    subscriber.former = end;
  }

  #appender(name: string): Appender {
    return new Appender({
      service: this.#service,
      stored: this.#stored,
      random: this.#random,
      pipeline: PIPELINE,
      name,
      channels: CHANNELS,
    });
  }

  #ingest(event: unknown, key: string): Promise<Response> {
    return this.#service.now.fetch(jsonPost("/ingest", event, { "Idempotency-Key": key }));
  }

  #ask(path: string, init: RequestInit): Promise<Response> {
    const url = `http://localhost:8000/pipelines/${PIPELINE}${path}`;
    return this.#service.now.fetch(new Request(url, init));
  }

  #request(channels: readonly string[], id: string): Promise<Response> {
    const query = channels.map((channel) => `channel=${channel}`).join("&");
    return this.#ask(`/sse?${query}`, { headers: id === "" ? {} : { "Last-Event-ID": id } });
  }

  /** Opens a stream; `null` if the service cannot now. */
  async #open(channels: readonly string[], id: string): Promise<Response | null> {
    const response = await this.#request(channels, id);
    if (response.status === 200) return response;
    equal(response.status, 503);
    await response.body!.cancel();
    await this.#service.breathe();
    return null;
  }

  /** Repeats a request until it has another status than 503, which is to be one of several. */
  async #untilAccepted(request: () => Promise<Response>, ...statuses: number[]) {
    while (true) {
      const response = await request();
      const { status } = response;
      if (statuses.includes(status)) {
        const text = await response.text();
        return { status, answer: text === "" ? null : JSON.parse(text) };
      }
      equal(status, 503);
      await response.body!.cancel();
      await this.#service.breathe();
    }
  }
}

Deno.test("A run ends once, for everyone, whatever happens meanwhile, and begins anew after a deletion", async () => {
  const folder = await Deno.makeTempDir();
  let runs = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const events = await new RunModel(seed, `${folder}/${runs++}.sqlite`).run();
        ok(events > 20);
      }),
      { ...repetitions(3), endOnFailure: true, examples: [[2147483632]] },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
