/**
 * A record of all that a subscriber of several pipelines received over all its connections,
 * with a check for each pipeline: every event once, in order, or the right gap; and each ID
 * leads to the rest of each pipeline.
 *
 * @module
 */

import { fail, ok, strictEqual as equal } from "node:assert/strict";
import { parseJoinedId, type Position, splitEventIds } from "../../../lib/protocol/event.ts";
import { END_CHANNEL } from "../../../lib/protocol/run_end.ts";
import type { JoinedItem } from "./joined_reader.ts";
import type { PublishedEvent } from "./subscriber_record.ts";

/** The logs that one pipeline had. */
export interface PipelineLogs {
  /** Events from sequence 1 on, by the epoch of their IDs; those that are missing were not stored. */
  logs: ReadonlyMap<string, readonly (PublishedEvent | undefined)[]>;
  /** All epochs that it had, those without events included. */
  epochs: ReadonlySet<string>;
  /** Whether its history was cleared. */
  isCleared: boolean;
}

/** One connection of the subscriber. */
export interface JoinedConnection {
  /** Pipelines in its URL, in order. */
  pipelines: readonly string[];
  /** Last event ID that it was opened with. */
  lastEventId: string;
  /** Number of events of a history. */
  history: number;
  /** Newest position that was accepted before it was opened, by pipeline; empty if it does not matter. */
  newest?: ReadonlyMap<string, Position> | undefined;
  /** Whether the service had to answer all that there is, and then to end. */
  isWhole?: boolean;
  /** Whether the client leaves out the markers of later polls. */
  omitsMarkers?: boolean;
  /** Whether the answer was that all runs have ended. */
  isOver?: boolean;
}

/** A position, and whether a gap has to be told before it counts. */
interface Place extends Position {
  hasGap: boolean;
}

/** State of the check of one pipeline. */
interface State {
  /** Position that the client has; `null` if it has none. */
  place: Place | null;
  /** Whether its history is being received. */
  isFresh: boolean;
  /** Whether the marker has come on this connection. */
  isLive: boolean;
  /** Number of events of the replay. */
  replayed: number;
  /** First sequence of the history; `null` before. */
  first: number | null;
  /** Epoch of the log whose end has come. */
  ended: string | null;
}

/** Sums over all connections. */
export interface JoinedSums {
  delivered: number;
  missed: number;
  gaps: number;
  ends: number;
}

/** The record of one subscriber. */
export class JoinedRecord {
  /** Channels that it requests; all if empty. */
  readonly channels: readonly string[];
  readonly #connections: { connection: JoinedConnection; items: JoinedItem[] }[] = [];
  /** Last event ID, as an EventSource would send it. */
  lastEventId = "";

  constructor(channels: readonly string[]) {
    this.channels = channels;
  }

  /** Records that a connection is opened, and returns it: it can be changed until the check. */
  open(connection: JoinedConnection): JoinedConnection {
    this.#connections.push({ connection, items: [] });
    return connection;
  }

  /** Records an item of the open connection. */
  take(item: JoinedItem): void {
    this.#connections.at(-1)!.items.push(item);
    if (item.id !== undefined) this.lastEventId = item.id;
  }

  /** Checks all that the subscriber received, which has to end with all events of some pipelines. */
  verify(
    pipelines: ReadonlyMap<string, PipelineLogs>,
    complete: readonly string[],
  ): JoinedSums {
    const check = new Check(pipelines, this.channels);
    for (const { connection, items } of this.#connections) {
      try {
        check.open(connection);
        for (const item of items) check.take(item);
        check.close();
      } catch (error) {
        const told = { ...connection, newest: undefined, items: items.slice(-100) };
        throw new Error(JSON.stringify(told), { cause: error });
      }
    }
    for (const pipeline of complete) check.isComplete(pipeline);
    return check.sums;
  }
}

/** The check of one record. */
class Check {
  readonly sums: JoinedSums = { delivered: 0, missed: 0, gaps: 0, ends: 0 };
  readonly #pipelines: ReadonlyMap<string, PipelineLogs>;
  readonly #channels: readonly string[];
  readonly #pipelineOf = new Map<string, string>();
  readonly #states = new Map<string, State>();
  #connection!: JoinedConnection;
  /** Whether a part of the last event ID may have been of no log of the URL. */
  #mayBeForeign = false;

  constructor(pipelines: ReadonlyMap<string, PipelineLogs>, channels: readonly string[]) {
    this.#pipelines = pipelines;
    this.#channels = channels;
    for (const [pipeline, { epochs }] of pipelines) {
      for (const epoch of epochs) this.#pipelineOf.set(epoch, pipeline);
    }
  }

  open(connection: JoinedConnection): void {
    this.#connection = connection;
    const sent = this.#read(connection.lastEventId);
    this.#mayBeForeign = [...sent.keys()].some((pipeline) =>
      !connection.pipelines.includes(pipeline) || this.#pipelines.get(pipeline)!.epochs.size > 1
    );
    for (const pipeline of connection.pipelines) {
      const place = sent.get(pipeline) ?? null;
      const state = this.#state(pipeline);
      // Without a place before, the client goes back to one that it had earlier.
      if (place && state.place) this.#moveTo(pipeline, place);
      Object.assign(state, { place, isFresh: false, isLive: false, replayed: 0, first: null });
      state.ended = place && this.#isEnd(pipeline, place) ? place.epoch : null;
      if (connection.isOver) equal(state.ended, place?.epoch, `the run of ${pipeline} has ended`);
    }
  }

  take({ id, type, data }: JoinedItem): void {
    if (id === undefined) return equal(type, "runnel.expired");
    const places = this.#read(id);
    const own = type === undefined ? null : this.#takeEvent(type, data, places);
    const order = this.#connection.pipelines.filter((pipeline) => places.has(pipeline));
    equal([...places.keys()].join(), order.join(), "the parts are in the order of the URL");
    for (const pipeline of order) {
      if (pipeline !== own) this.#moveTo(pipeline, places.get(pipeline)!);
    }
    for (const pipeline of this.#connection.pipelines) {
      const { place } = this.#state(pipeline);
      if (place) ok(places.has(pipeline), `an ID has lost ${pipeline}`);
    }
  }

  close(): void {
    if (!this.#connection.isWhole) return;
    for (const pipeline of this.#connection.pipelines) {
      const { isLive, ended, place } = this.#state(pipeline);
      ok(isLive || ended === place?.epoch, `a poll ended before ${pipeline} was live`);
    }
  }

  /** Asserts that all events of the newest log of a pipeline have come. */
  isComplete(pipeline: string): void {
    const { place } = this.#state(pipeline);
    const { epochs } = this.#pipelines.get(pipeline)!;
    ok(place && !place.hasGap, `${pipeline} has a position`);
    equal(place.epoch, [...epochs].at(-1), `${pipeline} is in its newest log`);
    this.#nothingBetween(pipeline, place.epoch, place.sequence, Infinity);
  }

  #state(pipeline: string): State {
    let state = this.#states.get(pipeline);
    if (!state) {
      state = { place: null, isFresh: false, isLive: false, replayed: 0, first: null, ended: null };
      this.#states.set(pipeline, state);
    }
    return state;
  }

  /** Returns the parts of an event ID, by pipeline. */
  #read(id: string): Map<string, Place> {
    const places = new Map<string, Place>();
    if (id === "") return places;
    for (const text of splitEventIds(id)) {
      const { position, hasGap } = parseJoinedId(text) ?? fail(`a part of an ID: ${text}`);
      const pipeline = this.#pipelineOf.get(position.epoch) ??
        fail(`a part of an ID of no log: ${text} in ${id}`);
      ok(!places.has(pipeline), `two parts of ${pipeline} in ${id}`);
      places.set(pipeline, { ...position, hasGap });
    }
    return places;
  }

  /** Takes the place of a pipeline from an ID that is not of an event of its own. */
  #moveTo(pipeline: string, place: Place): void {
    const state = this.#state(pipeline);
    const { place: before } = state;
    state.place = place;
    // Nothing of it was received: it begins later, after events that its filter passes over.
    if (!before) {
      return ok(place.hasGap || this.#channels.length > 0, `${pipeline} was passed over`);
    }
    if (before.epoch !== place.epoch) return ok(place.hasGap, `no gap of ${pipeline} was told`);
    equal(place.hasGap, before.hasGap);
    if (place.hasGap) return;
    ok(!this.#isEnd(pipeline, place) || state.ended, `the ID of an end that was not told`);
    ok(place.sequence >= before.sequence, `the position of ${pipeline} goes back`);
    this.#nothingBetween(pipeline, place.epoch, before.sequence, place.sequence);
  }

  /** Takes an event, and returns its pipeline. */
  #takeEvent(type: string, data: string, places: ReadonlyMap<string, Place>): string {
    const control = type.startsWith("runnel.") ? JSON.parse(data) : null;
    const slash = type.indexOf("/");
    const pipeline: string = control?.pipeline ?? type.slice(0, slash);
    ok(this.#connection.pipelines.includes(pipeline), `an event of ${pipeline}`);
    const place = places.get(pipeline) ?? fail(`an event of ${pipeline} without its ID`);
    ok(!place.hasGap);
    if (type === "runnel.gap") this.#takeGap(pipeline, place, control);
    else if (type === "runnel.live") this.#takeLive(pipeline, place, control.replayed);
    else if (type === END_CHANNEL) this.#takeEnd(pipeline, place, control.events);
    else this.#takePublished(pipeline, place, { channel: type.slice(slash + 1), data });
    this.#state(pipeline).place = place;
    return pipeline;
  }

  #takeGap(
    pipeline: string,
    { epoch, sequence }: Place,
    { missed, reason }: { missed: number | null; reason: string },
  ): void {
    const state = this.#state(pipeline);
    const { place } = state;
    this.sums.gaps++;
    if (missed !== null) {
      ok(place && !place.hasGap && place.epoch === epoch && missed > 0, `a gap of ${missed}`);
      this.#nothingBetween(pipeline, epoch, place.sequence, sequence - missed);
      this.sums.missed += missed;
      return;
    }
    equal(reason, "unknown");
    if (place) ok(place.hasGap || place.epoch !== epoch, `a gap of ${pipeline} without a reason`);
    else ok(this.#mayBeForeign, `a gap of ${pipeline}, which is new`);
    Object.assign(state, { isFresh: true, isLive: false, replayed: 0, first: null });
  }

  #takeLive(pipeline: string, { epoch, sequence }: Place, replayed: number): void {
    const state = this.#state(pipeline);
    const { place, isLive, first } = state;
    ok(!isLive, `${pipeline} is live twice`);
    state.isLive = true;
    equal(replayed, state.replayed, `replayed events of ${pipeline}`);
    const isFresh = state.isFresh || !place;
    if (!isFresh) this.#isAt(pipeline, epoch);
    if (place && first !== null || !isFresh) {
      this.#nothingBetween(pipeline, epoch, place!.sequence, sequence);
    }
    state.isFresh = false;
    const newest = this.#connection.newest?.get(pipeline);
    if (newest?.epoch === epoch) {
      ok(
        sequence >= newest.sequence,
        `the seam ${sequence} of ${pipeline} is not before ${newest.sequence}`,
      );
    }
    const { isCleared, epochs } = this.#pipelines.get(pipeline)!;
    if (!isFresh || this.#channels.length > 0 || isCleared || epochs.size > 1) return;
    const { history } = this.#connection;
    if (history < Infinity) equal(replayed, Math.min(sequence, history), `history of ${pipeline}`);
  }

  #takeEnd(pipeline: string, { epoch, sequence }: Place, events: number): void {
    const state = this.#state(pipeline);
    this.sums.ends++;
    ok(state.isLive || this.#connection.omitsMarkers, "an end comes after the marker");
    this.#isAt(pipeline, epoch);
    ok(state.ended !== epoch, `${pipeline} has ended twice`);
    state.ended = epoch;
    const log = this.#pipelines.get(pipeline)!.logs.get(epoch)!;
    equal(log[sequence - 1]?.data, JSON.stringify({ events }), `the end of ${pipeline}`);
    this.#nothingBetween(pipeline, epoch, state.place!.sequence, sequence - 1);
  }

  #takePublished(pipeline: string, { epoch, sequence }: Place, event: PublishedEvent): void {
    const state = this.#state(pipeline);
    const { place, isLive } = state;
    const published = this.#pipelines.get(pipeline)!.logs.get(epoch)?.[sequence - 1] ??
      fail(`event ${sequence} of ${pipeline} was never accepted`);
    equal(`${event.channel} ${event.data}`, `${published.channel} ${published.data}`);
    ok(this.#isWanted(published), "an event of a channel that was not asked for");
    ok(state.ended !== epoch, "an event after the end");
    if (place && !(state.isFresh && state.first === null)) {
      this.#isAt(pipeline, epoch);
      ok(sequence > place.sequence, `event ${sequence} of ${pipeline} comes twice`);
      this.#nothingBetween(pipeline, epoch, place.sequence, sequence - 1);
    } else {
      ok(!isLive, "a new subscriber receives the live marker first");
      state.isFresh = true;
      state.first = sequence;
    }
    this.sums.delivered++;
    if (!isLive) state.replayed++;
  }

  #isAt(pipeline: string, epoch: string): void {
    const { place } = this.#state(pipeline);
    ok(place && !place.hasGap, `${pipeline} has no position`);
    equal(place.epoch, epoch, `${pipeline} is told of a gap before the events of another log`);
  }

  #isEnd(pipeline: string, { epoch, sequence }: Place): boolean {
    const log = this.#pipelines.get(pipeline)!.logs.get(epoch);
    return log?.[sequence - 1]?.channel === END_CHANNEL;
  }

  #isWanted({ channel }: PublishedEvent): boolean {
    // The end of a run goes to all.
    return this.#channels.length === 0 || [...this.#channels, END_CHANNEL].includes(channel);
  }

  /** Asserts that no event for the subscriber lies after one sequence and up to another. */
  #nothingBetween(pipeline: string, epoch: string, after: number, upTo: number): void {
    ok(after <= upTo, `position ${upTo} of ${pipeline} comes after ${after}`);
    const log = this.#pipelines.get(pipeline)!.logs.get(epoch) ?? [];
    const lost = log.slice(after, upTo).findIndex((event) => event && this.#isWanted(event));
    if (lost < 0) return;
    fail(`event ${after + lost + 1} of ${pipeline} was lost between ${after} and ${upTo}`);
  }
}
