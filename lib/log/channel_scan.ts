/**
 * Scans the newest events of a pipeline backwards for their channels, so that the
 * history of a subscriber to rare channels is found without their payloads.
 *
 * @module
 */

import type { Kv, KvConnection } from "../kv/mod.ts";
import type { Head } from "./head.ts";
import type { HeadStore } from "./head_store.ts";
import { segmentsBelow } from "./keys.ts";
import { readSize } from "./read_size.ts";
import { readChannels, readSegmentHeader } from "./segment.ts";
import { isDamage } from "./segment_list.ts";

/** Size of segments after which a scan ends, in bytes. */
const MAX_SCAN_BYTES = 1024 * 1024;

/** Number of events after which a scan ends: tiny ones take their time, too. */
const MAX_SCAN_EVENTS = 10_000;

/** Channels of the newest events of a pipeline. */
export interface ChannelScan {
  /** Epoch of the log that the events are from. */
  epoch: string;
  /** Sequence of the newest event. */
  last: number;
  /** The different channels, and the index of each. */
  indexes: ReadonlyMap<string, number>;
  /** For each event, newest first, the index of its channel. */
  channels: Uint32Array;
}

/** Options for {@linkcode scanChannels}. */
export interface ChannelScanOptions {
  /** The store. */
  kv: KvConnection;
  /** Heads of the pipelines. */
  heads: Pick<HeadStore, "read">;
}

/** Index of the channel of an event that is damaged or missing: no channel has it. */
const UNKNOWN = 2 ** 32 - 1;

/**
 * Scans from the newest event to the oldest one that is retained, up to 1 MiB of
 * segments and about 10,000 events. Segments that are missing are passed over.
 *
 * @returns The channels, or `null` if there is no log of that pipeline.
 * @throws {RunnelError} `log-unavailable` if the log does not answer.
 */
export async function scanChannels(
  pipeline: string,
  { kv, heads }: ChannelScanOptions,
): Promise<ChannelScan | null> {
  const head = await heads.read(pipeline);
  if (!head) return null;
  return await kv.call(async (kv) => {
    const batchSize = readSize(head, MAX_SCAN_BYTES);
    const { scan, isWhole } = await list(kv, pipeline, head, batchSize);
    // A damaged segment fails the whole batch: those after it are read one by one.
    return isWhole ? scan : (await list(kv, pipeline, head, 1)).scan;
  }, { as: "log-unavailable" });
}

/** Scans until a damaged place of the store ends it. */
async function list(
  kv: Kv,
  pipeline: string,
  { epoch, sequence: last, oldest }: Head,
  batchSize: number,
): Promise<{ scan: ChannelScan; isWhole: boolean }> {
  const indexes = new Map<string, number>();
  const channels: number[] = [];
  let isWhole = true;
  const wanted = Math.min(last - oldest + 1, MAX_SCAN_EVENTS);
  const listed = kv.list<unknown>(segmentsBelow(pipeline, last + 1), {
    reverse: true,
    batchSize,
  });
  let bytes = 0;
  try {
    for await (const { key, value } of listed) {
      if (bytes >= MAX_SCAN_BYTES) break;
      const end = Math.min(last - Number(key.at(-1)), wanted);
      while (channels.length < end) channels.push(UNKNOWN);
      if (channels.length === wanted) break;
      for (const channel of readChannelsIfWhole(value, key).reverse()) {
        const index = indexes.get(channel) ?? indexes.size;
        indexes.set(channel, index);
        channels.push(index);
        if (channels.length === wanted) break;
      }
      bytes += value instanceof Uint8Array ? value.length : 0;
    }
  } catch (error) {
    if (!isDamage(error)) throw error;
    isWhole = false;
  }
  return { scan: { epoch, last, indexes, channels: Uint32Array.from(channels) }, isWhole };
}

/** Returns the channels of a segment, or none if it is damaged or of a later version. */
function readChannelsIfWhole(value: unknown, key: Deno.KvKey): string[] {
  if (!(value instanceof Uint8Array)) return [];
  try {
    return readSegmentHeader(value).last === key.at(-1) ? readChannels(value) : [];
  } catch {
    return [];
  }
}
