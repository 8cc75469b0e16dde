/**
 * Reads an event stream with a parser that others wrote.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { createParser } from "eventsource-parser";

/** What a stream said. */
export type StreamItem =
  | { kind: "event"; id: string | undefined; type: string; data: string }
  | { kind: "comment"; text: string }
  | { kind: "retry"; ms: number };

/** An event as a client dispatches it. */
export type ReceivedEvent = Extract<StreamItem, { kind: "event" }>;

/** Reads what a stream says, one after the other. */
export class StreamReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #said: StreamItem[] = [];
  readonly #decoder: TextDecoder;
  /** All that was read, as text. */
  text = "";
  readonly #parser = createParser({
    onEvent: ({ id, event, data }) =>
      this.#said.push({ kind: "event", id, type: event ?? "message", data }),
    onComment: (text) => this.#said.push({ kind: "comment", text }),
    onRetry: (ms) => this.#said.push({ kind: "retry", ms }),
  });

  /**
   * @param source A body, or the answer that has it.
   * @param decoder Makes text of its bytes.
   */
  constructor(source: ReadableStream<Uint8Array> | Response, decoder = new TextDecoder()) {
    this.#decoder = decoder;
    this.#reader = (source instanceof Response ? source.body! : source).getReader();
  }

  /** The next thing said, or `null` at the stream's end. */
  async next(): Promise<StreamItem | null> {
    while (this.#said.length === 0) {
      const { done, value } = await this.#reader.read();
      if (done) return null;
      const text = this.#decoder.decode(value, { stream: true });
      this.text += text;
      this.#parser.feed(text);
    }
    return this.#said.shift()!;
  }

  /** The next event, passing over comments and the reconnection time; `null` at the end. */
  async event(): Promise<ReceivedEvent | null> {
    while (true) {
      const said = await this.next();
      if (said === null || said.kind === "event") return said;
    }
  }

  /** The next `count` events. */
  async events(count: number): Promise<ReceivedEvent[]> {
    const events: ReceivedEvent[] = [];
    while (events.length < count) {
      const event = await this.event();
      if (!event) break;
      events.push(event);
    }
    return events;
  }

  /** All events up to and including the first of a type. */
  async until(type: string): Promise<ReceivedEvent[]> {
    const events: ReceivedEvent[] = [];
    while (true) {
      const event = await this.event();
      if (!event) return events;
      events.push(event);
      if (event.type === type) return events;
    }
  }

  /** Leaves, as a client that goes away. */
  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

/**
 * Opens a stream of a service as an EventSource does.
 *
 * @param service Where.
 * @param pipeline Whose events.
 * @param lastEventId The last event ID, if there is one.
 */
export async function openStream(
  { url }: { url: string },
  pipeline: string,
  lastEventId = "",
): Promise<StreamReader> {
  const response = await fetch(`${url}/pipelines/${pipeline}/sse`, {
    headers: { Accept: "text/event-stream", "Last-Event-ID": lastEventId },
  });
  equal(response.status, 200, "an EventSource would never come back");
  return new StreamReader(response);
}
