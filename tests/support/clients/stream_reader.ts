/**
 * A reader of event streams with a third-party parser.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { createParser } from "eventsource-parser";

/** Item of an event stream. */
export type StreamItem =
  | { kind: "event"; id: string | undefined; type: string; data: string }
  | { kind: "comment"; text: string }
  | { kind: "retry"; ms: number };

/** Event as a client dispatches it. */
export type ReceivedEvent = Extract<StreamItem, { kind: "event" }>;

/** Reads the items of a stream, one after another. */
export class StreamReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #items: StreamItem[] = [];
  readonly #decoder: TextDecoder;
  /** Text of the stream so far. */
  text = "";
  readonly #parser = createParser({
    onEvent: ({ id, event, data }) =>
      this.#items.push({ kind: "event", id, type: event ?? "message", data }),
    onComment: (text) => this.#items.push({ kind: "comment", text }),
    onRetry: (ms) => this.#items.push({ kind: "retry", ms }),
  });

  /**
   * @param source A body, or the response that has it.
   * @param decoder Decodes its bytes to text.
   */
  constructor(source: ReadableStream<Uint8Array> | Response, decoder = new TextDecoder()) {
    this.#decoder = decoder;
    this.#reader = (source instanceof Response ? source.body! : source).getReader();
  }

  /** Returns the next item, or `null` at the end of the stream. */
  async next(): Promise<StreamItem | null> {
    while (this.#items.length === 0) {
      const { done, value } = await this.#reader.read();
      if (done) return null;
      const text = this.#decoder.decode(value, { stream: true });
      this.text += text;
      this.#parser.feed(text);
    }
    return this.#items.shift()!;
  }

  /** Returns the next event, skipping comments and the reconnection time, or `null` at the end. */
  async event(): Promise<ReceivedEvent | null> {
    while (true) {
      const item = await this.next();
      if (item === null || item.kind === "event") return item;
    }
  }

  /** Returns the next `count` events. */
  async events(count: number): Promise<ReceivedEvent[]> {
    const events: ReceivedEvent[] = [];
    while (events.length < count) {
      const event = await this.event();
      if (!event) break;
      events.push(event);
    }
    return events;
  }

  /** Returns all events up to and including the first of a type. */
  async until(type: string): Promise<ReceivedEvent[]> {
    const events: ReceivedEvent[] = [];
    while (true) {
      const event = await this.event();
      if (!event) return events;
      events.push(event);
      if (event.type === type) return events;
    }
  }

  /** Cancels the stream, as a client that disconnects. */
  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

/**
 * Opens a stream of a service as an EventSource does.
 *
 * @param service The service.
 * @param pipeline ID of the pipeline.
 * @param lastEventId The last event ID, if there is one.
 * @param client Client that makes the request.
 */
export async function openStream(
  { url }: { url: string },
  pipeline: string,
  lastEventId = "",
  client?: Deno.HttpClient,
): Promise<StreamReader> {
  const response = await fetch(`${url}/pipelines/${pipeline}/sse`, {
    headers: { Accept: "text/event-stream", "Last-Event-ID": lastEventId },
    ...(client && { client }),
  });
  equal(response.status, 200, "an EventSource would never come back");
  return new StreamReader(response);
}
