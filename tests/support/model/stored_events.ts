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
import { payloadText } from "../log.ts";

/** The events of one pipeline, noted with each commit that a store makes. */
export class StoredEvents {
  /** Events in order, from sequence 1 on, by the epoch of their IDs. */
  readonly byEpoch = new Map<string, PublishedEvent[]>();
  /** Epochs of all logs that it had, those without events included, the newest last. */
  readonly epochs = new Set<string>();
  readonly #pipeline: string;

  constructor(pipeline: string) {
    this.#pipeline = pipeline;
  }

  /** The events of the newest epoch. */
  get log(): readonly PublishedEvent[] {
    return [...this.byEpoch.values()].at(-1) ?? [];
  }

  /** Returns a store whose commits are noted. */
  observe(kv: Kv): Kv {
    return {
      get: kv.get.bind(kv),
      getMany: kv.getMany.bind(kv),
      list: kv.list.bind(kv),
      close: kv.close.bind(kv),
      atomic: () => this.#observe(kv.atomic()),
    };
  }

  #observe(operation: Deno.AtomicOperation): Deno.AtomicOperation {
    const [set, commit] = [operation.set.bind(operation), operation.commit.bind(operation)];
    const segments: Uint8Array[] = [];
    let epoch = "";
    const [kind, pipeline] = headKey(this.#pipeline);
    operation.set = (key, value, options) => {
      if (key[0] === kind && key[1] === pipeline) epoch = (value as Head).epoch;
      if (key[0] === "log" && key[1] === pipeline) segments.push(value as Uint8Array);
      return set(key, value, options);
    };
    operation.commit = async () => {
      const result = await commit();
      if (result.ok && epoch !== "") this.epochs.add(epoch);
      if (result.ok) this.#note(epoch, segments);
      return result;
    };
    return operation;
  }

  #note(epoch: string, segments: readonly Uint8Array[]): void {
    if (segments.length === 0) return;
    const log = this.byEpoch.get(epoch) ?? [];
    this.byEpoch.set(epoch, log);
    for (const event of segments.flatMap((bytes) => unpackSegment(bytes))) {
      ok(log[event.sequence - 1] === undefined, `event ${event.sequence} was stored twice`);
      log[event.sequence - 1] = { channel: event.channel, data: payloadText(event) };
    }
  }
}
