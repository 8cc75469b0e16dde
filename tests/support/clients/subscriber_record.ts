/**
 * A record of the events that one subscriber received over all its connections,
 * with a check of the guarantee: every event once, in order, or a gap with the
 * right number.
 *
 * @module
 */

import { fail, ok, strictEqual as equal } from "node:assert/strict";
import { parseEventId } from "../../../lib/protocol/event.ts";
import { END_CHANNEL } from "../../../lib/protocol/run_end.ts";
import type { ReceivedEvent } from "./stream_reader.ts";

/** Event as its publisher sent it. */
export interface PublishedEvent {
  channel: string;
  data: string;
}

interface Connection {
  /** Whether it was opened with a last event ID. */
  resumed: boolean;
  /** Newest sequence that was accepted before it was opened. */
  newest: number;
  events: ReceivedEvent[];
}

/** The record of one subscriber. */
export class SubscriberRecord {
  /** Channels that it requests; all if empty. */
  readonly channels: readonly string[];
  readonly #history: number;
  readonly #connections: Connection[] = [];
  /** Last event ID, as an EventSource would send it. */
  lastEventId = "";

  /** @param channels Channels that it requests; all if empty. */
  constructor(channels: readonly string[], history: number) {
    this.channels = channels;
    this.#history = history;
  }

  /** Records that a connection is opened. */
  open(newest: number): void {
    this.#connections.push({ resumed: this.lastEventId !== "", newest, events: [] });
  }

  /** Records an event of the open connection. */
  take(event: ReceivedEvent): void {
    this.#connections.at(-1)!.events.push(event);
    if (event.id !== undefined) this.lastEventId = event.id;
  }

  /**
   * Checks all events that the subscriber received.
   *
   * @param log All accepted events, beginning with sequence 1.
   * @param cleared Whether the history was ever cleared.
   */
  verify(log: readonly PublishedEvent[], cleared: boolean): { delivered: number; missed: number } {
    let position: number | null = null;
    let delivered = 0;
    let missed = 0;
    for (const { resumed, newest, events } of this.#connections) {
      let live = false;
      let first: number | null = null;
      equal(resumed, position !== null, "a connection resumes if there is a position");
      for (const event of events) {
        const { sequence } = parseEventId(event.id!)!;
        const data = JSON.parse(event.data);
        if (event.type === "runnel.gap") {
          ok(data.missed > 0, `a gap of ${data.missed} events`);
          this.#nothingBetween(log, position!, sequence - data.missed);
          missed += data.missed;
        } else if (event.type === "runnel.live") {
          ok(sequence >= newest, "the seam is not before what was accepted before");
          if (position !== null) this.#nothingBetween(log, position, sequence);
          if (!resumed) this.#isHistory(first, sequence, data.replayed, cleared);
          live = true;
        } else {
          const published = log[sequence - 1] ?? fail(`event ${sequence} was never accepted`);
          equal(event.type, published.channel);
          equal(event.data, published.data);
          if (position === null) ok(!live, "a new subscriber receives the live marker first");
          else this.#nothingBetween(log, position, sequence - 1);
          first ??= sequence;
          delivered++;
        }
        if (position !== null) ok(sequence >= position, "the position never goes back");
        position = sequence;
      }
    }
    this.#nothingBetween(log, position!, log.length);
    return { delivered, missed };
  }

  #wanted({ channel }: PublishedEvent): boolean {
    // The end of a run goes to all.
    return this.channels.length === 0 || [...this.channels, END_CHANNEL].includes(channel);
  }

  /** Asserts that no event for the subscriber lies after one sequence and up to another. */
  #nothingBetween(log: readonly PublishedEvent[], after: number, upTo: number): void {
    ok(after <= upTo, `position ${upTo} comes after ${after}`);
    const lost = log.slice(after, upTo).findIndex((event) => this.#wanted(event));
    if (lost >= 0) fail(`event ${after + lost + 1} was lost between ${after} and ${upTo}`);
  }

  #isHistory(first: number | null, seam: number, replayed: number, cleared: boolean): void {
    if (this.channels.length > 0) return;
    equal(replayed, first === null ? 0 : seam - first + 1);
    ok(replayed <= this.#history);
    if (!cleared) equal(replayed, Math.min(seam, this.#history));
  }
}
