/**
 * The route of a pipeline's events: the history, and pages of it.
 *
 * @module
 */

import { Hono } from "hono";
import { RunnelError } from "../base/mod.ts";
import type { EventPage, HistoryRequest, PageRequest } from "../hub/mod.ts";
import { formatEventId, parseEventId, type Position } from "../protocol/mod.ts";
import {
  type AppContext,
  type AppEnv,
  clientOf,
  parseOrThrow,
  pipelineOf,
  type RouteOptions,
} from "./context.ts";
import { EventList, formatOf, mediaTypeOfList } from "./event_list.ts";
import { historyBody } from "./history_body.ts";
import { readRange } from "./history_range.ts";
import { readParameters } from "./query.ts";
import { eventsQuery, MAX_LIMIT } from "./subscription_schemas.ts";

/** Parameters of streams. A misspelt one is told as well, though they mean nothing here. */
const STREAM_PARAMETERS = ["lastEventId", "pipeline", "ticket", "trace"] as const;

/** Query of a request: either of a page or of a history. */
type EventsQuery =
  & { channels: readonly string[] }
  & (
    | { kind: "page"; waitMs: number | null } & Pick<PageRequest, "after" | "limit">
    | { kind: "history" } & Pick<HistoryRequest, "history">
  );

/** Creates the route that sends what a pipeline has. */
export function historyRoutes(options: RouteOptions): Hono<AppEnv> {
  const { hub, access, config, runtime, routes } = options;
  const app = new Hono<AppEnv>();
  const schema = eventsQuery(config.history);

  // Hono runs this for HEAD too and drops the body.
  app.get(routes.history.getRoutingPath(), async (c) => {
    const pipeline = pipelineOf(c);
    const query = readQuery(c);
    const { channels, endsAt } = await access.authorizeRead(clientOf(c), {
      pipelines: [pipeline],
      channels: query.channels,
    });
    const format = formatOf(c.req.header("Accept"));
    const { address, completed: connectionClosed } = c.env;
    const request = { ...query, channels, address, connectionClosed };
    const headers = (position: Position): Record<string, string> => ({
      "Content-Type": mediaTypeOfList(format),
      "Cache-Control": "no-store",
      "Vary": "Accept",
      "Last-Event-ID": formatEventId(position),
    });
    const list = new EventList(format, pipeline);
    if (request.kind === "page") {
      const page = await readPage(c, pipeline, { ...request, endsAt });
      const { position, start, gap, hasMore } = page;
      if (gap) list.addGap(gap, start);
      list.add(position.epoch, page.events);
      list.end(page);
      return new Response(list.take(), {
        headers: { ...headers(position), ...hasMore && { "Link": linkToNext(c, position) } },
      });
    }
    if (c.req.method === "HEAD") {
      return new Response(null, { headers: headers(await hub.position(pipeline, address)) });
    }
    const pages = hub.history(pipeline, request);
    const { position, body } = await historyBody(pipeline, {
      pages,
      list,
      clock: runtime.clock,
      connectionClosed,
    });
    return new Response(body, { headers: headers(position) });
  });

  /** Reads a page, and waits for one that is not empty if its client does. */
  async function readPage(
    c: AppContext,
    pipeline: string,
    request: PageRequest & { waitMs: number | null; endsAt: number },
  ): Promise<EventPage> {
    const { waitMs, ...page } = request;
    // A check of what there is does not wait.
    if (waitMs === null || c.req.method === "HEAD") return await hub.page(pipeline, page);
    return await hub.poll(pipeline, { ...page, waitMs, left: c.req.raw.signal });
  }

  function readQuery(c: AppContext): EventsQuery {
    const parameters = readParameters(c, {
      once: Object.keys(schema.shape),
      repeated: ["channel", ...STREAM_PARAMETERS],
    });
    const { channel: channels = [], history, since, after, limit, wait } = parseOrThrow(
      schema,
      parameters,
    );
    if (after !== undefined) {
      if (history !== undefined) throw invalid("history and after exclude each other");
      if (since !== undefined) throw invalid("since and after exclude each other");
      return {
        kind: "page",
        channels,
        after: parseEventId(after),
        limit: limit === undefined ? MAX_LIMIT : Number(limit),
        waitMs: wait === undefined ? null : Number(wait) * 1000,
      };
    }
    if (limit !== undefined) throw invalid("limit is for pages, which have after. Use history");
    if (wait !== undefined) throw invalid("wait is for pages, which have after, and for streams");
    if ("lastEventId" in parameters) {
      throw invalid("lastEventId is for streams. Use after for the events after an ID");
    }
    return {
      kind: "history",
      channels,
      history: readRange({ history, since }, runtime.clock.now()),
    };
  }

  return app;
}

/** Returns the header that leads to the next page, with the other parameters of the request. */
function linkToNext(c: AppContext, position: Position): string {
  const { searchParams } = new URL(c.req.url);
  searchParams.set("after", formatEventId(position));
  // Without a path: the client knows the one by which it reaches the service.
  return `<?${searchParams}>; rel="next"`;
}

function invalid(reason: string): RunnelError {
  return new RunnelError("malformed-request", `Cannot read query: ${reason}`);
}
