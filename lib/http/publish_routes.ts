/**
 * The routes of publishers.
 *
 * @module
 */

import { Hono } from "hono";
import type { Bearer } from "../access/mod.ts";
import { RunnelError } from "../base/mod.ts";
import type { Receipt } from "../hub/mod.ts";
import { formatEventId } from "../protocol/mod.ts";
import type { PublishTrace } from "../telemetry/mod.ts";
import {
  type AppContext,
  type AppEnv,
  assertNotReserved,
  bodyOf,
  contentType,
  keyOf,
  pipelineOf,
  type RouteOptions,
} from "./context.ts";
import { PublishCounter, type Published } from "./publish_counter.ts";
import { type PublishRequest, readPublishRequest, readRawEvent } from "./publish_request.ts";

/** Creates the routes that publish to pipelines, clear them and delete them. */
export function publishRoutes(options: RouteOptions): Hono<AppEnv> {
  const { hub, access, config, headers, routes, authenticate } = options;
  const app = new Hono<AppEnv>();
  const counter = new PublishCounter(options);

  app.post(
    routes.ingest.getRoutingPath(),
    counter.counted(async (c, trace) => {
      const publisher = await authenticate(c);
      // Before the body is read: the work on it is for publishers only.
      access.assertPublisher(publisher);
      const request = { contentType: contentType(c), body: await bodyOf(c, options) };
      return await publish(c, publisher, readPublishRequest(request, config), trace);
    }),
  );

  app.post(
    routes.ingestRaw.getRoutingPath(),
    counter.counted(async (c, trace) => {
      const publisher = await authenticate(c);
      const pipeline = pipelineOf(c);
      const channel = channelOf(c);
      access.authorizePublish(publisher, { pipeline, events: [{ channel }] });
      const request = { channel, contentType: contentType(c), body: await bodyOf(c, options) };
      const events = [readRawEvent(request, config)];
      return await publish(c, publisher, { pipeline, events, end: false }, trace);
    }),
  );

  app.post(
    routes.end.getRoutingPath(),
    counter.counted(async (c, trace) => {
      const publisher = await authenticate(c);
      return await publish(c, publisher, { pipeline: pipelineOf(c), events: [], end: true }, trace);
    }),
  );

  app.delete(routes.clear.getRoutingPath(), async (c) => {
    const pipeline = pipelineOf(c);
    access.authorizePublish(await authenticate(c), { pipeline, events: null });
    await hub.clear(pipeline);
    return c.body(null, 204);
  });

  app.delete(routes.delete.getRoutingPath(), async (c) => {
    const pipeline = pipelineOf(c);
    access.authorizePublish(await authenticate(c), { pipeline, events: null });
    await hub.delete(pipeline);
    return c.body(null, 204);
  });

  async function publish(
    c: AppContext,
    publisher: Bearer | null,
    { pipeline, events, end }: PublishRequest,
    trace: PublishTrace,
  ): Promise<Published> {
    // The end of a run is that of all channels.
    access.authorizePublish(publisher, { pipeline, events: end ? null : events });
    assertNotReserved(c, pipeline, options);
    const key = keyOf(c);
    const { traceparent } = trace;
    if (traceparent) { for (const event of events) event.traceparent = traceparent; }
    trace.describe(pipeline, events.length);
    const receipt = await trace.commit(() =>
      hub.publish(pipeline, events, { key, publisher: publisher?.publisher, end })
    );
    const response = headers.create(c.req.raw, c.env.id, answerTo(pipeline, receipt), {
      status: 202,
      headers: {
        "Content-Type": "application/json",
        ...receipt.replayed && { "Idempotency-Replayed": "true" },
      },
    });
    return { pipeline, events, end, receipt, response };
  }

  return app;
}

/** Returns the JSON that tells the IDs of events. Nothing in it needs an escape. */
function answerTo(pipeline: string, { epoch, first, count, end }: Receipt): string {
  const placeOf = (sequence: number) =>
    `{"pipeline":"${pipeline}","id":"${formatEventId({ epoch, sequence })}"}`;
  let events = "";
  for (let sequence = first; sequence < first + count; sequence++) {
    events += `${events && ","}${placeOf(sequence)}`;
  }
  return `{"events":[${events}]${end === undefined ? "" : `,"end":${placeOf(end)}`}}`;
}

/** Returns the channel in a path. Hono returns a broken escape unchanged; here it is an error. */
function channelOf(c: AppContext): string {
  try {
    return decodeURIComponent(new URL(c.req.url).pathname.split("/")[3]!);
  } catch (cause) {
    throw new RunnelError(
      "malformed-request",
      "Cannot read path: the channel is not percent-encoded UTF-8",
      { cause },
    );
  }
}
