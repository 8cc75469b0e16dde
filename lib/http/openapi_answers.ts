/**
 * Descriptions of the answers of the routes, for the OpenAPI document.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";

const place = z.object({ pipeline: z.string(), id: z.string() });

/** The answer to a publish. */
export const accepted = z.object({
  events: z.array(place),
  end: place.optional().meta({ description: "The end of the run, if the request ended it" }),
});

const stands = {
  accepted: z.number().meta({ description: "Number of events of the append that stand" }),
  lastEventId: z.string().nullable().meta({ description: "ID of the last of them" }),
};

/** The answer to a streaming append. */
export const appended = z.object({
  ...stands,
  ended: z.boolean().meta({ description: "Whether the append ended the run" }),
});

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  requestId: z.string().meta({ description: "ID of the request, also in X-Request-Id" }),
});

/** Describes an answer in JSON. */
export function json(schema: z.ZodType, description: string) {
  return { description, content: { "application/json": { schema } } };
}

/** Describes an answer in plain text. */
export function text(description: string) {
  return { description, content: { "text/plain": { schema: z.string() } } };
}

const gap = z.object({
  missed: z.number().nullable(),
  reason: z.enum(["evicted", "cleared", "damaged", "unknown"]),
});

const listedEvent = z.object({
  id: z.string(),
  channel: z.string(),
  time: z.iso.datetime(),
  payload: z.unknown(),
});

const eventListSchema = z.object({
  pipeline: z.string(),
  events: z.array(listedEvent),
  gap: gap.optional().meta({ description: "The events after after= that are gone" }),
  end: z.object({ id: z.string(), events: z.number() }).optional().meta({
    description: "The end of the run, and the number of its events",
  }),
  lastEventId: z.string().meta({ description: "ID to go on after, in after= or Last-Event-ID" }),
});

/** A history, or a page of events. */
export const eventList = {
  description: "The history, or the page",
  headers: z.object({
    "Last-Event-ID": z.string().meta({
      description: "ID to go on after: of a stream, or of the next page",
    }),
    Link: z.string().optional().meta({
      description: "The next page, as a relative reference with rel=next, if there are more events",
    }),
  }),
  content: {
    "application/json": { schema: eventListSchema },
    "application/x-ndjson": {
      schema: z.string().meta({
        description: "An event a line, as in events. The line of a gap has the channel " +
          "runnel.gap, that of the end runnel.end, both without a time",
      }),
    },
  },
};

/** The metrics of an instance. */
export const openMetrics = {
  description: "The metrics, in the OpenMetrics format",
  content: { "application/openmetrics-text": { schema: z.string() } },
};

/** The errors of a route. */
export const errors = {
  "4XX": {
    description: "The request was rejected. Nothing changed",
    content: { "application/problem+json": { schema: problem } },
  },
  503: {
    description: "A transient error. Try again after Retry-After seconds",
    content: { "application/problem+json": { schema: problem } },
  },
};

/** The errors of a streaming append. */
export const appendErrors = {
  "4XX": {
    description: "The append ended. What came before stands",
    content: { "application/problem+json": { schema: problem.extend(stands) } },
  },
  503: {
    description: "The append ended for a transient reason. Go on with the same Idempotency-Key",
    content: { "application/problem+json": { schema: problem.extend(stands) } },
  },
};

/** The answer of an instance that takes no work. */
export const notReady = {
  503: {
    description: "The instance takes no work. The part that fails is named",
    content: {
      "application/problem+json": {
        schema: problem.extend({ part: z.enum(["draining", "disk", "log", "open-files"]) }),
      },
    },
  },
};

/**
 * JSON Schema of a parsed event of a stream.
 *
 * @param event Its type: one name, or any channel.
 * @param data Schema of the JSON value in its data.
 */
function streamEvent(description: string, event: object, data: object) {
  return {
    type: "object",
    description,
    required: ["event", "data", "id"],
    properties: {
      event: { type: "string", ...event },
      data: { type: "string", contentMediaType: "application/json", contentSchema: data },
      id: { type: "string", description: "ID to resume after, in Last-Event-ID" },
    },
  };
}

const replayed = { type: "integer", minimum: 0 };

/** Member of the data of a control event on a stream of several pipelines. */
const pipeline = { type: "string", description: "On a stream of several pipelines" };

/** JSON Schemas of the events of a stream, by what they are. */
const STREAM_EVENTS = [
  streamEvent("An event. The data is its payload", { description: "Its channel" }, {}),
  streamEvent("Between the history and new events", { const: "runnel.live" }, {
    type: "object",
    properties: { pipeline, replayed },
  }),
  streamEvent("Events that the client should have received are gone", { const: "runnel.gap" }, {
    type: "object",
    properties: {
      pipeline,
      missed: { type: ["integer", "null"] },
      reason: { enum: ["evicted", "cleared", "damaged", "unknown"] },
    },
  }),
  streamEvent("The end of the run. The stream ends with it", { const: "runnel.end" }, {
    type: "object",
    properties: { pipeline, events: { type: "integer", minimum: 0 } },
  }),
  streamEvent("The end of the token, or of the session of the ticket", {
    const: "runnel.expired",
  }, { type: "object", properties: { reason: { enum: ["expired", "revoked"] } } }),
];

/** A line of a stream that is asked for as lines of JSON, unless it is empty. */
const streamLine = z.object({
  id: z.string().meta({ description: "ID to resume after, in Last-Event-ID" }),
  pipeline: z.string().optional().meta({ description: pipeline.description }),
  channel: z.string().optional().meta({
    description:
      "Its channel, or the type of a control event. A line with an ID alone only moves " +
      "the position",
  }),
  time: z.iso.datetime().optional().meta({ description: "Of events" }),
  payload: z.unknown().meta({ description: "Its payload, or the data of a control event" }),
});

/**
 * The event stream. OpenAPI 3.2 would describe its events in `itemSchema`, but parsers that many
 * tools build on refuse documents of that version. JSON Schema has `contentSchema` for the same.
 */
export const eventStream = {
  description: "The event stream. With Accept: text/event-stream, a transient error is one, too: " +
    "it ends after its retry, and the client comes back",
  content: {
    "text/event-stream": {
      schema: z.string().meta({
        contentMediaType: "text/event-stream",
        contentSchema: { type: "array", items: { anyOf: STREAM_EVENTS } },
      }),
    },
    "application/x-ndjson": { schema: streamLine },
  },
};

/** The answer to a client that has the ends of all runs: an `EventSource` stays away after it. */
export const ended = { description: "The runs have ended, and the client has all of them" };

/** The stream of a probe. */
export const probeStream = {
  description: "The lines of the probe",
  content: { "text/event-stream": { schema: z.string() } },
};
