/**
 * One log for all isolates of a process: the isolate that owns the log serves
 * it over message ports, with its tickets, and the others use it as their own.
 *
 * @module
 */

import type { TicketStore } from "../access/mod.ts";
import { RunnelError, type Runtime } from "../base/mod.ts";
import {
  type AnnouncedHead,
  Backlog,
  type Change,
  ListenerSlot,
  type Log,
  type LogListener,
  requestBytes,
} from "../log/mod.ts";
import { createMetrics } from "../telemetry/mod.ts";
import { answerCalls, RemoteCaller } from "./remote_calls.ts";
import type { Stores } from "./stores.ts";

/**
 * Time that the owner may take beyond its own deadlines, in milliseconds: its
 * answer says more than a missed deadline.
 */
const GRACE_MS = 500;

/** News from the owner: a call of the listener. */
type News = { change: Change } | { heads: readonly AnnouncedHead[] };

/** Methods of the log that are remote calls and nothing else. */
type PlainLog = Omit<Log, "append" | "ping" | "pending" | "listen" | "close">;

/**
 * Serves the log and the tickets to another isolate.
 *
 * @returns Listener that passes its calls on to the listener in the other isolate.
 */
export function serveStores(
  port: MessagePort,
  { log, tickets }: Pick<Stores, "log" | "tickets">,
): LogListener {
  const post = answerCalls<News>(port, { log, tickets });
  return {
    onChange: (change) => post({ change }),
    onHeads: (heads) => post({ heads }),
  };
}

/** Options for {@linkcode reachStores}. */
export interface RemoteStoresOptions {
  /** Clock used for deadlines, and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Time that a publish may take the owner, as configured there, in milliseconds. */
  timeoutMs: number;
  /** Maximum memory of events that wait for the owner, in bytes. */
  maxWaitingBytes: number;
}

/** Returns the log and the tickets of the isolate that calls {@linkcode serveStores}. */
export function reachStores(port: MessagePort, options: RemoteStoresOptions): Stores {
  const { runtime: { clock, report }, timeoutMs, maxWaitingBytes } = options;
  // An owner that hangs refuses nothing by itself.
  const backlog = new Backlog(maxWaitingBytes);
  const slot = new ListenerSlot<LogListener>();
  const caller = new RemoteCaller<News>(port, {
    clock,
    // A publish may wait its time for its turn, and take it once more then.
    timeoutMs: 2 * timeoutMs + GRACE_MS,
    onNews(news) {
      try {
        if ("change" in news) slot.listener.onChange(news.change);
        else slot.listener.onHeads(news.heads);
      } catch (error) {
        report("Cannot deliver news of the log", error);
      }
    },
  });
  const log: Log = {
    ...caller.remote<PlainLog>("log", {
      ensureHead: true,
      head: true,
      heads: true,
      waitForCommit: true,
      readAfter: true,
      readAppend: true,
      renewEpoch: true,
      scanChannels: true,
      findSince: true,
      clear: true,
      delete: true,
      renewLeases: true,
    }),
    async append(pipeline, events, options) {
      using _held = backlog.add(requestBytes(events));
      const values = [pipeline, events, options];
      return await caller.call("log", "append", values, { onLate: unknown });
    },
    async ping(ms) {
      await caller.call("log", "ping", [ms], { ms });
    },
    /** Requests that wait for the owner, which alone sweeps. */
    get pending() {
      return { waitingBytes: backlog.bytes, sweeps: 0 };
    },
    /** Receives the heads, and the changes too if there is no {@linkcode PipelineChannels}. */
    listen(listener) {
      return slot.set(listener);
    },
    /** Leaves the stores to the others. */
    close() {
      caller.close();
      return Promise.resolve();
    },
  };
  const tickets = caller.remote<TicketStore>("tickets", {
    read: true,
    generations: true,
    revocations: true,
    write: true,
    revoke: true,
  });
  return { log, tickets, metrics: createMetrics() };
}

function unknown(ms: number): RunnelError {
  return new RunnelError(
    "outcome-unknown",
    `Cannot confirm the publish: the log did not answer within ${ms} ms, and the events may have ` +
      "been stored. Publish them again with the same Idempotency-Key, and they are stored once",
  );
}
