/**
 * The routes of publishers.
 *
 * @module
 */

import type { Bearer } from "../access/mod.ts";
import { RunnelError } from "../base/mod.ts";
import { formatEventId, type NewEvent } from "../protocol/mod.ts";
import type { Entrance } from "./authenticate.ts";
import {
  type AppContext,
  type AppOptions,
  bodyOf,
  check,
  contentType,
  type On,
} from "./context.ts";
import { pipelineParams, type Routes } from "./openapi.ts";
import { readPublishRequest, readRawEvent } from "./publish_request.ts";
import { idempotencyKeySchema } from "./schemas.ts";

/** Adds the routes that publish and clear. */
export function addPublishing(
  on: On,
  routes: Routes,
  options: AppOptions,
  enter: Entrance,
): void {
  const { hub, access, config } = options;

  on(routes.ingest, async (c) => {
    const publisher = await enter(c);
    const body = await bodyOf(c, options);
    const { pipeline, events } = readPublishRequest(contentType(c), body, config);
    return await publish(c, publisher, pipeline, events);
  });

  on(routes.ingestRaw, async (c) => {
    const publisher = await enter(c);
    const { pipeline } = check(pipelineParams, c.req.param());
    const body = await bodyOf(c, options);
    const event = readRawEvent(channelOf(c), contentType(c), body, config);
    return await publish(c, publisher, pipeline, [event]);
  });

  on(routes.clear, async (c) => {
    const { pipeline } = check(pipelineParams, c.req.param());
    access.checkPublish(await enter(c), pipeline, null);
    await hub.clear(pipeline);
    return c.body(null, 204);
  });

  async function publish(
    c: AppContext,
    publisher: Bearer | null,
    pipeline: string,
    events: NewEvent[],
  ): Promise<Response> {
    access.checkPublish(publisher, pipeline, events);
    const header = c.req.header("Idempotency-Key");
    const key = header === undefined
      ? undefined
      : check(idempotencyKeySchema, header, "Idempotency-Key");
    const { epoch, first, count, replayed } = await hub.publish(pipeline, events, key);
    const ids = Array.from({ length: count }, (_, index) => ({
      pipeline,
      id: formatEventId({ epoch, sequence: first + index }),
    }));
    if (replayed) c.header("Idempotency-Replayed", "true");
    return c.json({ events: ids }, 202);
  }
}

/** The channel in a path. Hono would hand on a broken escape as it is; it is refused here. */
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
