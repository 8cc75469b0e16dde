/**
 * Subscribers of several pipelines on one stream: each pipeline has to be as if it had a
 * stream of its own, whatever writers, an operator and the network do.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import {
  joinEventIds,
  MAX_PIPELINES,
  parseEventId,
  parseJoinedId,
  type Position,
  splitEventIds,
} from "../../lib/protocol/event.ts";
import { JoinedReader } from "../support/clients/joined_reader.ts";
import {
  type JoinedConnection,
  JoinedRecord,
  type JoinedSums,
  type PipelineLogs,
} from "../support/clients/joined_record.ts";
import { ClientSubscriber } from "../support/clients/joined_subscribers.ts";
import { FakeChannels } from "../support/fakes/broadcast.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { Appender } from "../support/model/appender.ts";
import { ModelService } from "../support/model/model_service.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { StoredEvents } from "../support/model/stored_events.ts";
import { jsonPost } from "../support/service.ts";

const CHANNELS = ["orders", "names", "a/b c"];
const HISTORY = 20;
const SUBSCRIBERS = 5;
const CLIENTS = 2;
const ACTIONS = 25;

/** Maximum number of bytes before a connection breaks. */
const MAX_BYTES = 20_000;

/** Maximum time of a poll that has to be whole, in milliseconds: less than the deadline of a read. */
const MAX_POLL_MS = 1000;

/** Maximum time until a client has all events, in seconds. Messages may be lost for a minute. */
const MAX_SECONDS = 1000;

/** A subscriber: its record, and the pipelines in its URL. */
interface Subscriber {
  record: JoinedRecord;
  pipelines: string[];
  /** Parts of the IDs that it ever had, by epoch. */
  parts: Map<string, string>;
}

/** Numbers of connections of each kind, and of what happened. */
type Counts = Record<
  "streams" | "polls" | "lines" | "cuts" | "deletions" | "gaps" | "ends",
  number
>;

/** Random actions on several pipelines, with their checks. */
class JoinedModel {
  readonly #random: SeededRandom;
  readonly #path: string;
  readonly #instances: number;
  readonly #stored = new Map<string, StoredEvents>();
  readonly #newest = new Map<string, Position>();
  readonly #cleared = new Set<string>();
  #service!: ModelService;
  readonly #counts: Counts;

  constructor(seed: number, path: string, counts: Counts) {
    this.#random = new SeededRandom(seed);
    this.#path = path;
    this.#counts = counts;
    this.#instances = this.#random.chance(0.5) ? 2 : 1;
    const pipelines = this.#random.integer(2, MAX_PIPELINES);
    for (let i = 0; i < pipelines; i++) this.#stored.set(`p_${i}`, new StoredEvents(`p_${i}`));
  }

  async run(): Promise<JoinedSums> {
    const channels = new FakeChannels();
    // Half of all messages between the two instances are lost.
    channels.route = (message, deliver) => this.#random.chance(0.5) && deliver(message);
    this.#service = await ModelService.start({
      random: this.#random,
      path: this.#path,
      stored: [...this.#stored.values()],
      instances: this.#instances,
      channels,
      settings: {
        RUNNEL_HISTORY: String(HISTORY),
        RUNNEL_RETENTION: "40",
        RUNNEL_MAX_TAIL_BYTES: String(1024 * 1024),
      },
    });
    const subscribers = Array.from({ length: SUBSCRIBERS }, () => this.#subscriber());
    const clients = Array.from({ length: CLIENTS }, () => this.#client());
    const listening = clients.map((client) => client.listen());
    let over = false;
    const done = Promise.all([...this.#stored.keys()].map((pipeline) => this.#write(pipeline)))
      .finally(() => over = true);
    await Promise.all([
      done,
      this.#service.disturb(
        [...this.#stored.keys()],
        () => over,
        (pipeline) => this.#cleared.add(pipeline),
      ),
      ...subscribers.map((subscriber) => this.#subscribe(subscriber, () => over)),
    ]);
    await this.#service.whileTimePasses(this.#noteEpochs());
    for (const client of clients) await this.#untilAll(client);
    await Promise.all(listening);
    await this.#service.whileTimePasses(this.#readToTheEnd(subscribers));
    await this.#service.end();
    const sums: JoinedSums = { delivered: 0, missed: 0, gaps: 0, ends: 0 };
    for (
      const added of [
        ...subscribers.map(({ record, pipelines }) => record.verify(this.#logs(), pipelines)),
        ...clients.map((client) => client.verify(this.#logs())),
      ]
    ) {
      for (const key of Object.keys(sums) as (keyof JoinedSums)[]) sums[key] += added[key];
    }
    return sums;
  }

  /** Notes the newest epochs: that of a pipeline without events since it was deleted is not stored. */
  async #noteEpochs(): Promise<void> {
    for (const [pipeline, { epochs }] of this.#stored) {
      const { epoch } = await this.#service.now.log.ensureHead(pipeline);
      await this.#noted();
      epochs.add(epoch);
    }
  }

  async #noted(): Promise<void> {
    for (const stored of this.#stored.values()) await stored.noted();
  }

  #logs(): Map<string, PipelineLogs> {
    return new Map(
      [...this.#stored].map(([pipeline, { byEpoch, epochs }]) => {
        return [pipeline, { logs: byEpoch, epochs, isCleared: this.#cleared.has(pipeline) }];
      }),
    );
  }

  #subscriber(): Subscriber {
    const channels = this.#random.chance(0.4) ? [this.#random.pick(CHANNELS)] : [];
    return { record: new JoinedRecord(channels), pipelines: this.#pick(), parts: new Map() };
  }

  /** Returns a subscriber by the client, whose connections break now and then. */
  #client(): ClientSubscriber {
    const random = this.#random;
    const service = this.#service;
    return new ClientSubscriber({
      random,
      pipelines: this.#pick(),
      channels: random.chance(0.4) ? [random.pick(CHANNELS)] : [],
      history: HISTORY,
      async fetch(path, init) {
        const response = await service.now.fetch(
          new Request(`http://localhost:8000${path}`, init),
        );
        if (init.signal?.aborted) await response.body?.cancel();
        init.signal?.throwIfAborted();
        if (!response.body || random.chance(0.5)) return response;
        const { body, status, headers } = response;
        return new Response(cutOff(body, random.integer(0, MAX_BYTES)), { status, headers });
      },
      clock: {
        now: () => service.clock.now(),
        after(ms, run) {
          const timer = service.clock.after(ms, run);
          return () => timer[Symbol.dispose]();
        },
      },
      pause: () => service.breathe(),
    });
  }

  /** Waits until a client has all events, and ends it. */
  async #untilAll(client: ClientSubscriber): Promise<void> {
    const logs = this.#logs();
    for (let seconds = 0; !client.hasAll(logs); seconds++) {
      ok(seconds < MAX_SECONDS, "a client has all events");
      this.#service.clock.advance(1000);
      await this.#service.breathe();
    }
    client.end();
  }

  /** Returns some pipelines in any order. */
  #pick(): string[] {
    const all = this.#random.shuffled([...this.#stored.keys()]);
    return all.slice(0, this.#random.integer(1, all.length));
  }

  /** Publishes, appends, ends and deletes, one after the other. */
  async #write(pipeline: string): Promise<void> {
    const appender = new Appender({
      service: this.#service,
      stored: this.#stored.get(pipeline)!,
      random: this.#random,
      pipeline,
      name: pipeline,
      channels: CHANNELS,
    });
    for (let action = 0; action < ACTIONS; action++) {
      const choice = this.#random.next();
      let hasEnded = false;
      if (choice < 0.1) hasEnded = await appender.send(appender.prepare());
      else if (choice < 0.15) await this.#delete(pipeline);
      else hasEnded = await this.#publish(pipeline, action, choice < 0.25);
      for (let i = this.#random.integer(1, 10); i > 0; i--) await this.#service.breathe();
      if (hasEnded && this.#random.chance(0.7)) await this.#delete(pipeline);
    }
  }

  /** Publishes a request, and returns whether the run has ended. */
  async #publish(pipeline: string, request: number, ends: boolean): Promise<boolean> {
    const count = this.#random.chance(0.3) ? this.#random.integer(2, 30) : 1;
    const events = Array.from({ length: count }, (_, index) => ({
      pipeline,
      channel: this.#random.pick(CHANNELS),
      payload: {
        request,
        index,
        filling: "x".repeat(this.#random.chance(0.02) ? 50_000 : 10),
      },
    }));
    if (ends) Object.assign(events.at(-1)!, { end: true });
    const { status, answer } = await this.#untilAccepted(() =>
      this.#service.now.fetch(jsonPost("/ingest", events, { "Idempotency-Key": `${request}` }))
    );
    if (status === 409) return true;
    equal(status, 202, JSON.stringify(answer));
    const position = parseEventId(answer.events.at(-1)!.id)!;
    const newest = this.#newest.get(pipeline);
    if (newest?.epoch !== position.epoch || newest.sequence < position.sequence) {
      this.#newest.set(pipeline, position);
    }
    return ends;
  }

  async #delete(pipeline: string): Promise<void> {
    this.#counts.deletions++;
    const url = `http://localhost:8000/pipelines/${pipeline}`;
    const request = () => this.#service.now.fetch(new Request(url, { method: "DELETE" }));
    equal((await this.#untilAccepted(request)).status, 204);
  }

  async #untilAccepted(request: () => Promise<Response>) {
    while (true) {
      const response = await request();
      const text = await response.text();
      const { status } = response;
      if (status !== 503) return { status, answer: text === "" ? null : JSON.parse(text) };
      await this.#service.breathe();
    }
  }

  async #subscribe(subscriber: Subscriber, over: () => boolean): Promise<void> {
    while (!over()) {
      const choice = this.#random.next();
      if (choice < 0.2) subscriber.pipelines = this.#pick();
      else if (choice < 0.4) subscriber.pipelines = this.#random.shuffled(subscriber.pipelines);
      await this.#connect(subscriber, over);
      await this.#service.breathe();
    }
  }

  /** Opens a stream, and reads it until it ends, breaks, or is left. */
  async #connect(subscriber: Subscriber, over: () => boolean): Promise<void> {
    const { record } = subscriber;
    const random = this.#random;
    const isPoll = random.chance(0.3);
    const isLines = random.chance(0.3);
    const maxBytes = random.chance(0.4) ? random.integer(0, MAX_BYTES) : Infinity;
    const wait = isPoll ? random.pick(["0", "1", "20"]) : undefined;
    const { clock, restarts } = this.#service;
    const since = clock.monotonic();
    const reader = await this.#open(subscriber, { wait, isLines, maxBytes });
    if (!reader || reader === "over") return;
    const { connection } = reader;
    const patience = random.integer(1, 200);
    for (let i = 0; i < patience && !over(); i++) {
      if (random.chance(0.1)) await this.#service.breathe();
      const item = await this.#readOrGiveUp(reader.items, over);
      if (item) {
        record.take(item);
        continue;
      }
      // Nothing but a break, a restart, and a jump of the clock ends it early.
      const isDisturbed = this.#service.restarts > restarts ||
        clock.monotonic() > since + MAX_POLL_MS;
      connection.isWhole = isPoll && !over() && !reader.items.isCut && !isDisturbed;
      break;
    }
    if (reader.items.isCut) this.#counts.cuts++;
    await reader.items.cancel();
  }

  /** Returns the next item, or nothing if the stream or the run ends first. */
  async #readOrGiveUp(reader: JoinedReader, over: () => boolean) {
    const next = reader.next();
    let item;
    let arrived = false;
    next.then((value) => [item, arrived] = [value, true]);
    while (!arrived && !over()) await this.#service.breathe();
    return arrived ? item : null;
  }

  /** Opens a stream; `null` if the service cannot now, `"over"` if all runs of it have ended. */
  async #open(
    { record, pipelines, parts }: Subscriber,
    { wait, isLines, maxBytes }: { wait: string | undefined; isLines: boolean; maxBytes: number },
  ): Promise<{ items: JoinedReader; connection: JoinedConnection } | "over" | null> {
    const random = this.#random;
    const history = random.pick([0, 5, HISTORY, Infinity]);
    await this.#noted();
    const lastEventId = this.#idOf(record.lastEventId, parts);
    const isSingle = pipelines.length === 1 && random.chance(0.5);
    const query = new URLSearchParams([
      ...isSingle ? [] : pipelines.map((pipeline) => ["pipeline", pipeline]),
      ...record.channels.map((channel) => ["channel", channel]),
      ...history === HISTORY ? [] : [["history", history === Infinity ? "all" : `${history}`]],
      ...wait === undefined ? [] : [["wait", wait]],
      ...random.chance(0.2) ? [["trace", "1"]] : [],
    ]);
    const path = isSingle ? `/pipelines/${pipelines[0]}/sse` : "/sse";
    // With lost messages, an instance may be behind.
    const newest = this.#instances > 1 ? undefined : new Map(this.#newest);
    const headers = new Headers(lastEventId === "" ? {} : { "Last-Event-ID": lastEventId });
    if (isLines) headers.set("Accept", "application/x-ndjson");
    const response = await this.#service.now.fetch(
      new Request(`http://localhost:8000${path}?${query}`, { headers }),
    );
    const connection: JoinedConnection = { pipelines, lastEventId, history, newest };
    if (response.status === 204) {
      record.open({ ...connection, isOver: true });
      return "over";
    }
    if (response.status !== 200) {
      // The service is restarting, or the clock jumped past its deadline.
      equal(response.status, 503, await response.clone().text());
      await response.body!.cancel();
      return null;
    }
    this.#counts[wait === undefined ? "streams" : "polls"]++;
    if (isLines) this.#counts.lines++;
    const pipeline = isSingle ? pipelines[0]! : null;
    return {
      items: new JoinedReader(response.body!, { isLines, maxBytes, pipeline }),
      connection: record.open(connection),
    };
  }

  /** Returns the last event ID, in any order, and maybe with what the client had before. */
  #idOf(lastEventId: string, parts: Map<string, string>): string {
    if (lastEventId === "") return "";
    const now = splitEventIds(lastEventId);
    for (const part of now) parts.set(parseJoinedId(part)!.position.epoch, part);
    if (this.#random.chance(0.7)) return lastEventId;
    const epochs = new Set(now.map((part) => parseJoinedId(part)!.position.epoch));
    const older = this.#random.chance(0.5) ? [] : [...parts].flatMap(([epoch, part]) => {
      const stored = [...this.#stored.values()].find(({ epochs }) => epochs.has(epoch));
      // Of one pipeline there is one part.
      const isThere = stored && [...epochs].some((epoch) => stored.epochs.has(epoch));
      const isNewest = stored && [...stored.epochs].at(-1) === epoch;
      return isThere || !isNewest ? [] : [part];
    });
    return joinEventIds(this.#random.shuffled([...now, ...older]));
  }

  async #readToTheEnd(subscribers: readonly Subscriber[]): Promise<void> {
    for (const subscriber of subscribers) await this.#readAll(subscriber);
  }

  async #readAll(subscriber: Subscriber): Promise<void> {
    const isLines = this.#random.chance(0.5);
    while (true) {
      const reader = await this.#open(subscriber, { wait: "0", isLines, maxBytes: Infinity });
      if (reader === "over") return;
      if (!reader) {
        await this.#service.breathe();
        continue;
      }
      for (let item; (item = await reader.items.next());) subscriber.record.take(item);
      reader.connection.isWhole = true;
      return;
    }
  }
}

/** Returns a body that ends after a number of bytes, as a connection that breaks. */
function cutOff(body: ReadableStream<Uint8Array>, maxBytes: number): ReadableStream<Uint8Array> {
  let room = maxBytes;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(bytes, controller) {
        controller.enqueue(bytes.subarray(0, room));
        room -= bytes.length;
        if (room <= 0) controller.terminate();
      },
    }),
  );
}

Deno.test("Each pipeline of a joined stream is as if it had a stream of its own", async () => {
  const folder = await Deno.makeTempDir();
  const counts: Counts = {
    streams: 0,
    polls: 0,
    lines: 0,
    cuts: 0,
    deletions: 0,
    gaps: 0,
    ends: 0,
  };
  let runs = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const model = new JoinedModel(seed, `${folder}/${runs++}.sqlite`, counts);
        const { delivered, gaps, ends } = await model.run();
        ok(delivered > 100);
        counts.gaps += gaps;
        counts.ends += ends;
      }),
      { ...repetitions(3), endOnFailure: true },
    );
    for (const [name, count] of Object.entries(counts)) ok(count > 0, `there were ${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
