/**
 * The routes of streaming appends: events that are stored while their body arrives.
 *
 * @module
 */

import { Hono } from "hono";
import type { Bearer } from "../access/mod.ts";
import { RunnelError, type RunnelErrorType } from "../base/mod.ts";
import type { Append } from "../hub/mod.ts";
import { formatEventId, type NewEvent, type Position } from "../protocol/mod.ts";
import { type PublishTrace, tracePublish } from "../telemetry/mod.ts";
import { appendReader } from "./append_body.ts";
import { takeEvents } from "./append_events.ts";
import type { AppendReader } from "./append_reader.ts";
import { leaveBody, readPieces } from "./append_source.ts";
import { AppendStop } from "./append_stop.ts";
import { writerOf } from "./authenticate.ts";
import {
  type AppContext,
  type AppEnv,
  assertNotReserved,
  contentType,
  keyOf,
  parseOrThrow,
  pipelineOf,
  type RouteOptions,
} from "./context.ts";
import { problem } from "./problem.ts";
import { countEvents, outcomeOf } from "./publish_counter.ts";
import { readParameters } from "./query.ts";
import { appendQuery } from "./schemas.ts";

/** Errors of the log and of the room for bodies that pass, with what has happened. */
const PASSING: Partial<Record<RunnelErrorType, string>> = {
  "overloaded": "too much arrives, or waits for the log",
  "draining": "the instance is about to end",
  "log-unavailable": "the log does not take events now",
};

/** Parts that receive an append. */
interface Receiving {
  publisher: Bearer | null;
  pipeline: string;
  reader: AppendReader;
  append: Append;
  trace: PublishTrace;
  stop: AppendStop;
}

/** Creates the routes of appends. */
export function appendRoutes(options: RouteOptions): Hono<AppEnv> {
  const { hub, access, config, runtime, metrics, routes, authenticate, reportError } = options;
  const app = new Hono<AppEnv>();

  app.post(routes.append.getRoutingPath(), async (c) => {
    const publisher = await authenticate(c);
    const pipeline = authorize(c, publisher);
    using stop = new AppendStop({
      draining: hub.draining,
      shutdown: c.env.shutdown,
      endsAt: publisher?.grant.endsAt ?? Infinity,
      clock: runtime.clock,
    });
    const { after, ...query } = readQuery(c);
    const reader = appendReader({ ...query, contentType: contentType(c), limits: config });
    const trace = tracePublish(c.req.header("traceparent"));
    using append = await hub.openAppend(pipeline, {
      key: keyOf(c),
      publisher: publisher?.publisher,
      after,
      client: writerOf(c, publisher),
      commit: (run) => trace.commit(run),
      onStored: count,
      onFailure: (error) => stop.because(error),
    });
    let failure: unknown;
    try {
      await receive(c, { publisher, pipeline, reader, append, trace, stop });
    } catch (error) {
      failure = error;
    }
    // What came before the failure stands, unless the log refuses it.
    await append.finish().catch((error) => failure = ofAppend(error));
    trace.describe(pipeline, append.stored);
    trace.end(failure);
    metrics.publishes.add(failure === undefined ? "stored" : outcomeOf(failure));
    if (failure === undefined) return c.json(answerTo(append));
    leaveBody(c.req.raw, { clock: runtime.clock, completed: c.env.completed });
    if (!(failure instanceof RunnelError)) throw failure;
    reportError(c, failure);
    const { accepted, lastEventId } = answerTo(append);
    // The client may still send, and that would have to be read before its next request.
    const headers = { Connection: "close" };
    return problem(failure, { requestId: c.env.id, accepted, lastEventId }, headers);
  });

  app.get(routes.standing.getRoutingPath(), async (c) => {
    const publisher = await authenticate(c);
    const pipeline = authorize(c, publisher);
    const key = keyOf(c);
    if (key === undefined) {
      throw new RunnelError(
        "malformed-request",
        "Cannot read the append: expected the header Idempotency-Key with which it is sent",
      );
    }
    return c.json(answerTo(await hub.readAppend(pipeline, key, publisher?.publisher)));
  });

  /** Receives the events of a body until it ends, or is to be ended. */
  async function receive(
    c: AppContext,
    { publisher, pipeline, reader, append, trace, stop }: Receiving,
  ): Promise<void> {
    const { signal: stopped } = stop;
    const { address } = c.env;
    const { rate, bodies } = options;
    const pieces = readPieces(c.req.raw, { runtime, idleMs: config.appendIdleMs, stopped });
    await takeEvents(pieces, {
      reader,
      append,
      admit(event, end) {
        access.authorizePublish(publisher, { pipeline, events: end ? null : [event] });
        if (trace.traceparent) event.traceparent = trace.traceparent;
      },
      writer: writerOf(c, publisher),
      rate,
      clock: runtime.clock,
      reserve(bytes, isMore) {
        try {
          return bodies.reserve(address, bytes, isMore);
        } catch (error) {
          throw ofAppend(error);
        }
      },
      stopped,
    });
  }

  /** Returns the pipeline of a client that may publish to it. */
  function authorize(c: AppContext, publisher: Bearer | null): string {
    const pipeline = pipelineOf(c);
    access.authorizePublish(publisher, { pipeline, events: [] });
    assertNotReserved(c, pipeline, options);
    return pipeline;
  }

  function count(events: readonly NewEvent[], ms: number): void {
    countEvents(events, metrics);
    metrics.publishDuration.record(ms / 1000);
  }

  return app;
}

/**
 * Returns the error of an append for one of a part of it, whose text is about that part: it
 * may say that nothing was stored.
 */
function ofAppend(cause: unknown): unknown {
  const reason = cause instanceof RunnelError && PASSING[cause.type];
  if (!reason) return cause;
  const message = `Cannot append: ${reason}. Go on after the events that stand`;
  return new RunnelError(cause.type, message, { cause });
}

function readQuery(c: AppContext) {
  const parameters = readParameters(c, { once: Object.keys(appendQuery.shape) });
  const { channel = null, data = "auto", after = "0" } = parseOrThrow(appendQuery, parameters);
  return { channel, data, after: Number(after) };
}

/** The part of an append that stands. */
interface Standing {
  count: number;
  last: Position | null;
  end?: number | undefined;
}

/** Returns the answer that tells how much stands. */
function answerTo(standing: Standing | null) {
  const { count = 0, last = null, end } = standing ?? {};
  return {
    accepted: count,
    lastEventId: last && formatEventId(last),
    ended: end !== undefined,
  };
}
