/**
 * The routes of publishers.
 *
 * @module
 */

import { Hono } from "hono";
import type { Bearer } from "../access/mod.ts";
import { RunnelError } from "../base/mod.ts";
import type { Receipt } from "../hub/mod.ts";
import { formatEventId, isCanaryPipeline } from "../protocol/mod.ts";
import type { PublishTrace } from "../telemetry/mod.ts";
import {
  type AppContext,
  type AppEnv,
  bodyOf,
  contentType,
  isOfCanary,
  parseOrThrow,
  pipelineOf,
  type RouteOptions,
} from "./context.ts";
import { PublishCounter, type Published } from "./publish_counter.ts";
import { type PublishRequest, readPublishRequest, readRawEvent } from "./publish_request.ts";
import { publishHeaders } from "./schemas.ts";

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
      return await publish(c, publisher, { pipeline, events }, trace);
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
    { pipeline, events }: PublishRequest,
    trace: PublishTrace,
  ): Promise<Published> {
    access.authorizePublish(publisher, { pipeline, events });
    if (isCanaryPipeline(pipeline) && !isOfCanary(c.req.raw, options)) throw reserved(pipeline);
    const key = keyOf(c);
    const { traceparent } = trace;
    if (traceparent) { for (const event of events) event.traceparent = traceparent; }
    trace.describe(pipeline, events.length);
    const receipt = await trace.commit(() =>
      hub.publish(pipeline, events, key, publisher?.publisher)
    );
    const response = headers.create(c.req.raw, c.env.id, answerTo(pipeline, receipt), {
      status: 202,
      headers: {
        "Content-Type": "application/json",
        ...receipt.replayed && { "Idempotency-Replayed": "true" },
      },
    });
    return { pipeline, events, receipt, response };
  }

  return app;
}

function reserved(pipeline: string): RunnelError {
  return new RunnelError(
    "forbidden",
    `Cannot publish to "${pipeline}": the name is reserved for the service. Use another one`,
  );
}

/** Returns the idempotency key, if the publisher sent one. */
function keyOf(c: AppContext): string | undefined {
  const key = c.req.header("Idempotency-Key");
  // Most have none, and need no validation.
  if (key === undefined) return undefined;
  return parseOrThrow(publishHeaders, { "Idempotency-Key": key })["Idempotency-Key"];
}

/** Returns the JSON that tells the IDs of events. Nothing in it needs an escape. */
function answerTo(pipeline: string, { epoch, first, count }: Receipt): string {
  let events = "";
  for (let sequence = first; sequence < first + count; sequence++) {
    const id = formatEventId({ epoch, sequence });
    events += `${events && ","}{"pipeline":"${pipeline}","id":"${id}"}`;
  }
  return `{"events":[${events}]}`;
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
