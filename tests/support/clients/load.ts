/**
 * Publishers and subscribers that continue through all failures of their
 * instances, and record all that they receive.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { parseEventId } from "../../../lib/protocol/event.ts";
import type { SeededRandom } from "../generators/random.ts";
import type { PipelineLogs } from "./joined_record.ts";
import { StreamReader } from "./stream_reader.ts";
import { type PublishedEvent, SubscriberRecord } from "./subscriber_record.ts";

/** The pipeline of subscribers of one. */
export const PIPELINE = "p_faults";
/** Channels of all events. */
export const CHANNELS: readonly [string, string] = ["orders", "names"];
const HISTORY = 100;

/** Pause of a publisher or a subscriber before it retries, in milliseconds. */
const RETRY_MS = 200;

/** Options that publishers and subscribers share. */
export interface LoadContext {
  /** Picks the address of a running instance, as a load balancer does. */
  pick: (random: SeededRandom) => string;
  /** Whether it is time to stop. */
  isOver: () => boolean;
  /** Waits for a time in milliseconds. */
  pause: (ms: number) => Promise<void>;
  /** Waits during the pause between two bursts of all publishers. */
  bursts: () => Promise<void>;
}

/** Live events of one connection, with their times. */
interface LiveConnection {
  /** Time at which its stream became live, in milliseconds; infinite before. */
  since: number;
  /** Sequence that it had reached at that time. */
  after: number;
  /** Time at which it ended. */
  until: number;
  /** Arrival times, by sequence. */
  arrivals: Map<number, number>;
}

/** Accepted events of all publishers of a pipeline. */
export class Acceptances {
  /** Epochs of its log. */
  readonly epochs = new Set<string>();
  /** ID of the pipeline. */
  readonly pipeline: string;
  /** Events in order, beginning with sequence 1. */
  readonly log: PublishedEvent[] = [];
  /** Time of the 202 of each event, in the same order, in milliseconds. */
  readonly times: number[] = [];
  /** Number of publishes that were rejected or interrupted, and were repeated. */
  retries = 0;

  constructor(pipeline = PIPELINE) {
    this.pipeline = pipeline;
  }

  /** The log, as the record of a subscriber of several pipelines is compared with it. */
  get logs(): PipelineLogs {
    const logs = new Map([...this.epochs].map((epoch) => [epoch, this.log]));
    return { logs, epochs: this.epochs, isCleared: false };
  }

  /** Adds an event and the time at which it was accepted. */
  add(id: string, event: PublishedEvent, time: number): void {
    const { epoch, sequence } = parseEventId(id)!;
    this.epochs.add(epoch);
    ok(this.log[sequence - 1] === undefined, `event ${sequence} was accepted twice`);
    this.log[sequence - 1] = event;
    this.times[sequence - 1] = time;
  }

  /** Checks that each stored event was accepted. */
  verify(): void {
    // Publishers retry without a limit, so an event without a publisher was stored twice.
    for (let i = 0; i < this.log.length; i++) ok(this.log[i], `event ${i + 1} is nobody's`);
  }
}

/** Publishes requests of a few events, and repeats each with its key until it is accepted. */
export async function publishUntilOver(
  name: string,
  { pick, isOver, pause, bursts }: LoadContext,
  random: SeededRandom,
  acceptances: Acceptances,
): Promise<void> {
  for (let request = 0; !isOver(); request++) {
    const events = Array.from({ length: random.integer(1, 5) }, (_, index) => ({
      pipeline: acceptances.pipeline,
      channel: random.pick(CHANNELS),
      payload: { publisher: name, request, index },
    }));
    let accepted;
    while (!(accepted = await publishOnce(pick(random), events, `${name}.${request}`))) {
      acceptances.retries++;
      await pause(RETRY_MS);
    }
    const { ids, time } = accepted;
    events.forEach(({ channel, payload }, index) =>
      acceptances.add(ids[index]!, { channel, data: JSON.stringify(payload) }, time)
    );
    await pause(random.integer(0, 20));
    await bursts();
  }
}

async function publishOnce(
  url: string,
  events: unknown,
  key: string,
): Promise<{ ids: string[]; time: number } | null> {
  try {
    const response = await fetch(`${url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify(events),
    });
    const time = performance.now();
    const body = await response.json();
    if (response.status === 202) {
      return { ids: body.events.map(({ id }: { id: string }) => id), time };
    }
    equal(response.status, 503, JSON.stringify(body));
    ok(response.headers.has("Retry-After"));
  } catch (error) {
    // The instance was killed meanwhile: fetch fails, or the response is incomplete.
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
  }
  return null;
}

/** A subscriber that reconnects as an EventSource does, and sometimes disconnects by itself. */
export class ReconnectingSubscriber {
  readonly #service: LoadContext;
  readonly #random: SeededRandom;
  readonly #record: SubscriberRecord;
  /** Number of connections that it opened. */
  connections = 0;
  readonly #live: LiveConnection[] = [];

  /** @param isPicky Whether it subscribes to one channel only. */
  constructor(service: LoadContext, random: SeededRandom, isPicky: boolean) {
    this.#service = service;
    this.#random = random;
    this.#record = new SubscriberRecord(isPicky ? [CHANNELS[0]!] : [], HISTORY);
  }

  /** Subscribes until it is time to stop. */
  async listen(): Promise<void> {
    while (!this.#service.isOver()) {
      await this.#connect(this.#random.integer(500, 10_000), () => false);
      await this.#service.pause(this.#random.integer(0, RETRY_MS));
    }
  }

  /** Reads the remaining events, and checks all received events. */
  async verify(log: readonly PublishedEvent[]): Promise<{ delivered: number; missed: number }> {
    let isThere = false;
    while (!isThere) {
      await this.#connect(RETRY_MS * 10, (type) => isThere ||= type === "runnel.live");
    }
    return this.#record.verify(log, false);
  }

  /** Reads a stream until it ends or breaks, an event suffices, or the time is over. */
  async #connect(ms: number, isEnough: (type: string) => boolean): Promise<void> {
    const { channels, lastEventId } = this.#record;
    const query = channels.map((channel) => `channel=${channel}`).join("&");
    const url = `${this.#service.pick(this.#random)}/pipelines/${PIPELINE}/sse?${query}`;
    let timer;
    try {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": lastEventId };
      const response = await fetch(url, { headers });
      equal(response.status, 200, "an EventSource never comes back from an error");
      const reader = new StreamReader(response);
      // The signal of fetch may not reach a body that is being read.
      timer = setTimeout(() => reader.cancel(), ms);
      await this.#read(reader, isEnough);
      await reader.cancel();
    } catch (error) {
      // No instance is listening, or it was killed.
      if (!(error instanceof TypeError)) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(reader: StreamReader, isEnough: (type: string) => boolean): Promise<void> {
    const live: LiveConnection = { since: Infinity, after: 0, until: 0, arrivals: new Map() };
    this.#live.push(live);
    try {
      await this.#readEvents(reader, live, isEnough);
    } finally {
      live.until = performance.now();
    }
  }

  async #readEvents(
    reader: StreamReader,
    live: LiveConnection,
    isEnough: (type: string) => boolean,
  ): Promise<void> {
    let isOpen = false;
    for (let event; (event = await reader.event());) {
      // A stream with only a reconnection time is not checked. An instance may be
      // slightly behind, so the position at which live events begin is not checked.
      if (!isOpen) {
        this.#record.open(0);
        this.connections++;
      }
      isOpen = true;
      this.#record.take(event);
      const { sequence } = parseEventId(event.id!)!;
      const now = performance.now();
      if (event.type === "runnel.live") Object.assign(live, { since: now, after: sequence });
      else if (live.since < Infinity) live.arrivals.set(sequence, now);
      if (isEnough(event.type)) break;
    }
  }

  /**
   * Returns the times from the 202 of events to their arrival on streams that were
   * live by then, in milliseconds; infinite for an event that never arrived on a
   * stream which stayed open for long enough.
   *
   * @param maxMs Maximum time of an event, in milliseconds.
   * @param isQuiet Whether nothing disturbed an event between two times.
   */
  lateness(
    { log, times }: Acceptances,
    maxMs: number,
    isQuiet: (from: number, to: number) => boolean,
  ): number[] {
    const { channels } = this.#record;
    const all: number[] = [];
    for (const { since, after, until, arrivals } of this.#live) {
      for (let sequence = after + 1; sequence <= log.length; sequence++) {
        const accepted = times[sequence - 1]!;
        const isWanted = channels.length === 0 || channels.includes(log[sequence - 1]!.channel);
        if (accepted < since || accepted > until || !isWanted) continue;
        const arrived = arrivals.get(sequence) ?? Infinity;
        if (arrived === Infinity && until < accepted + maxMs) continue;
        if (isQuiet(accepted, Math.min(arrived, until))) all.push(arrived - accepted);
      }
    }
    return all;
  }
}
