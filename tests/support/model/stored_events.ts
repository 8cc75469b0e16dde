/**
 * The events that a store was given: what a model compares answers and streams with.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import type { Kv } from "../../../lib/kv/kv_connection.ts";
import type { Head } from "../../../lib/log/head.ts";
import { headKey } from "../../../lib/log/keys.ts";
import { unpackSegment } from "../../../lib/log/segment.ts";
import type { PublishedEvent } from "../clients/subscriber_record.ts";
import type { SeededRandom } from "../generators/random.ts";
import { payloadText } from "../log.ts";

/** Part of all commits whose answer comes late. */
const LATE = 0.01;

/** Turns of the event loop by which it is late. */
const LATE_TURNS = 20;

/** The events of one pipeline, noted with each commit that a store makes. */
export class StoredEvents {
  /** Events in order, from sequence 1 on, by the epoch of their IDs. */
  readonly byEpoch = new Map<string, PublishedEvent[]>();
  /** Epochs of all logs that it had, those without events included, the newest last. */
  readonly epochs = new Set<string>();
  readonly #pipeline: string;
  /** Commits that were begun and are not noted yet. */
  readonly #unnoted = new Set<Promise<void>>();

  constructor(pipeline: string) {
    this.#pipeline = pipeline;
  }

  /** The events of the newest epoch. */
  get log(): readonly PublishedEvent[] {
    return [...this.byEpoch.values()].at(-1) ?? [];
  }

  /**
   * Resolves when the commits that were begun are noted. A service may tell of one before the
   * store has answered it: its clock jumped past the deadline, and another request read it.
   */
  async noted(): Promise<void> {
    await Promise.all(this.#unnoted);
  }

  /**
   * Returns a store whose commits are noted, and some of them answered late.
   *
   * @param random Decides which.
   */
  observe(kv: Kv, random: SeededRandom): Kv {
    return {
      get: kv.get.bind(kv),
      getMany: kv.getMany.bind(kv),
      list: kv.list.bind(kv),
      close: kv.close.bind(kv),
      atomic: () => this.#observe(kv.atomic(), random),
    };
  }

  #observe(operation: Deno.AtomicOperation, random: SeededRandom): Deno.AtomicOperation {
    const [set, commit] = [operation.set.bind(operation), operation.commit.bind(operation)];
    const segments: Uint8Array[] = [];
    let epoch = "";
    const [kind, pipeline] = headKey(this.#pipeline);
    operation.set = (key, value, options) => {
      if (key[0] === kind && key[1] === pipeline) epoch = (value as Head).epoch;
      if (key[0] === "log" && key[1] === pipeline) segments.push(value as Uint8Array);
      return set(key, value, options);
    };
    const commitLate = async () => {
      const result = await commit();
      for (let i = random.chance(LATE) ? LATE_TURNS : 0; i > 0; i--) await nextTurn();
      return result;
    };
    operation.commit = () => {
      // Another pipeline's.
      if (epoch === "") return commit();
      const answer = commitLate();
      // In the order in which they were begun, in which those that succeed follow each other.
      const noted = Promise.all(this.#unnoted).then(() => answer).then(({ ok }) => {
        if (ok) this.#note(epoch, segments);
      }, () => {}).finally(() => this.#unnoted.delete(noted));
      this.#unnoted.add(noted);
      return answer;
    };
    return operation;
  }

  #note(epoch: string, segments: readonly Uint8Array[]): void {
    this.epochs.add(epoch);
    if (segments.length === 0) return;
    const log = this.byEpoch.get(epoch) ?? [];
    this.byEpoch.set(epoch, log);
    for (const event of segments.flatMap((bytes) => unpackSegment(bytes))) {
      ok(log[event.sequence - 1] === undefined, `event ${event.sequence} was stored twice`);
      log[event.sequence - 1] = { channel: event.channel, data: payloadText(event) };
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
