/**
 * Commits to a KV server without a pause of 40 ms.
 *
 * The client of the runtime sends a request of 1 KiB and more in two writes, with
 * Nagle's algorithm on: the second waits until the server has acknowledged the
 * first. The server delays that for up to 40 ms, because it has nothing to send. A
 * small read that it answers first carries the acknowledgement: a lone commit of
 * 4 KB took 44 ms without it, and takes 0.8 ms with it.
 *
 * Only if nothing else is in flight, whose answer would do the same: with a read
 * before each commit, a busy connection made a third of the commits. And not before
 * a smaller commit, which is sent in one write: the server would send two answers,
 * and the second would wait for the client to acknowledge the first.
 *
 * @see {@link https://datatracker.ietf.org/doc/html/rfc9293#section-3.7.4}
 * @module
 */

import { serialize } from "node:v8";
import type { Kv, WatchKv } from "./kv_connection.ts";

/** Size of a request from which on it is sent in two writes, in bytes. */
const TWO_WRITES_BYTES = 1024;

/** The key that is read. Nothing is stored there. */
const PROMPT_KEY: Deno.KvKey = ["prompt"];

/** Size of a check or a mutation in a request without key and value, in bytes. */
const RECORD_BYTES = 16;

/** Wraps a connection to a KV server, so that its commits are sent promptly. */
export function promptCommits(kv: Kv & WatchKv): Kv & WatchKv {
  let inFlight = 0;
  const count = async <T>(call: Promise<T>): Promise<T> => {
    inFlight++;
    try {
      return await call;
    } finally {
      inFlight--;
    }
  };
  return {
    get: (key, options) => count(kv.get(key, options)),
    getMany: (keys, options) => count(kv.getMany(keys, options)),
    list: (selector, options) => kv.list(selector, options),
    watch: (keys, options) => kv.watch(keys, options),
    close: () => kv.close(),
    atomic() {
      const operation = kv.atomic();
      const [check, set, commit] = [operation.check, operation.set, operation.commit];
      const parts: { key: Deno.KvKey; value?: unknown }[] = [];
      operation.check = (...checks) => {
        parts.push(...checks);
        return check.apply(operation, checks);
      };
      operation.set = (key, value, options) => {
        parts.push({ key, value });
        return set.call(operation, key, value, options);
      };
      operation.commit = () => {
        // Its error is that of the commit as well.
        if (inFlight === 0 && measure(parts) >= TWO_WRITES_BYTES) {
          kv.get(PROMPT_KEY).catch(() => {});
        }
        return count(commit.call(operation));
      };
      return operation;
    },
  };
}

/** Returns the approximate size of a request, in bytes. */
function measure(parts: readonly { key: Deno.KvKey; value?: unknown }[]): number {
  let bytes = 0;
  for (const { key, value } of parts) {
    bytes += RECORD_BYTES;
    for (const part of key) {
      bytes += typeof part === "string" || part instanceof Uint8Array ? part.length + 2 : 9;
    }
    if (value instanceof Uint8Array) bytes += value.length;
    else if (value !== undefined) bytes += serialize(value).length;
  }
  return bytes;
}
