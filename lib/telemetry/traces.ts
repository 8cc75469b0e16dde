/**
 * Traces of publishes, through the API of OpenTelemetry: a span from the request to the
 * answer, one of the commit in it, and one of each isolate that sends the events.
 *
 * @module
 */

import {
  type Context,
  context,
  ProxyTracerProvider,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { readTraceParent } from "../protocol/mod.ts";

/** Name by which the spans of the service are told from those of others. */
const SCOPE = "runnel";

/** The trace of a publish. */
export interface PublishTrace {
  /** Trace that its events carry; `undefined` without one. */
  readonly traceparent: string | undefined;
  /** Runs the commit as a part of the trace. */
  commit<T>(run: () => Promise<T>): Promise<T>;
  /** Tells what was published. */
  describe(pipeline: string, events: number): void;
  /** Ends the trace here. */
  end(error?: unknown): void;
}

/** Whether the spans of this isolate go anywhere. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) ||
    provider.getDelegateTracer(SCOPE) !== undefined;
}

/**
 * Begins the trace of a publish.
 *
 * @param header Header `traceparent` of the request. Without tracing here, it is passed on
 *   as it is. With tracing, the events carry the span of the publish in the same trace.
 */
export function tracePublish(header: string | undefined): PublishTrace {
  if (!isTracing()) return header === undefined ? UNTRACED : passOn(readTraceParent(header));
  const incoming = readTraceParent(header);
  // The runtime may have begun a span for the request in the publisher's trace.
  const active = context.active();
  const parent = trace.getSpan(active) ? active : contextOf(incoming);
  return new RecordedPublish(parent);
}

/** Trace of a publish where nothing is recorded. */
function passOn(traceparent: string | undefined): PublishTrace {
  return { traceparent, commit: (run) => run(), describe() {}, end() {} };
}

const UNTRACED = passOn(undefined);

/** Trace of a publish that is recorded. */
class RecordedPublish implements PublishTrace {
  readonly traceparent: string | undefined;
  readonly #span: Span;
  readonly #context: Context;

  constructor(parent: Context) {
    this.#span = tracer().startSpan("publish", { kind: SpanKind.PRODUCER }, parent);
    this.#context = trace.setSpan(parent, this.#span);
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    const flags = traceFlags.toString(16).padStart(2, "0");
    this.traceparent = readTraceParent(`00-${traceId}-${spanId}-${flags}`);
  }

  async commit<T>(run: () => Promise<T>): Promise<T> {
    const span = tracer().startSpan("commit", {}, this.#context);
    try {
      return await run();
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  describe(pipeline: string, events: number): void {
    this.#span.setAttributes({
      "messaging.system": "runnel",
      "messaging.operation.type": "send",
      "messaging.destination.name": pipeline,
      "messaging.batch.message_count": events,
    });
  }

  end(error?: unknown): void {
    if (error !== undefined) fail(this.#span, error);
    this.#span.end();
  }
}

/** Options for {@linkcode traceFanOut}. */
export interface FanOutTrace {
  /** Traces that the events carry. */
  traceparents: Iterable<string>;
  /** Pipeline ID. */
  pipeline: string;
  /** Number of subscribers. */
  subscribers: number;
  /** Time since which the events waited, in milliseconds since the Unix epoch. */
  since: number;
  /** Time at which all subscribers had been written to, in the same unit. */
  until: number;
}

/** Records that events were sent to the subscribers of this isolate, in each of their traces. */
export function traceFanOut(
  { traceparents, pipeline, subscribers, since, until }: FanOutTrace,
): void {
  for (const traceparent of traceparents) {
    const span = tracer().startSpan("fan-out", {
      startTime: since,
      attributes: {
        "messaging.system": "runnel",
        "messaging.destination.name": pipeline,
        "runnel.subscribers": subscribers,
      },
    }, contextOf(traceparent));
    span.end(until);
  }
}

/** Returns the context in which a header continues a trace. */
function contextOf(traceparent: string | undefined): Context {
  if (traceparent === undefined) return context.active();
  const [, traceId, spanId, flags] = traceparent.split("-") as [string, string, string, string];
  const traceFlags = parseInt(flags, 16);
  return trace.setSpanContext(context.active(), { traceId, spanId, traceFlags, isRemote: true });
}

function tracer() {
  return trace.getTracer(SCOPE);
}

function fail(span: Span, error: unknown): void {
  // No more than its type: messages may quote what a client sent.
  const type = (error as { type?: unknown } | null)?.type;
  span.setStatus({ code: SpanStatusCode.ERROR, message: typeof type === "string" ? type : "" });
}
