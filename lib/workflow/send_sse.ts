/**
 * The type of `$.send.sse`, and sources of events that are sent as they come.
 *
 * @module
 */

import type { SseEvent } from "./serialized_event.ts";

/**
 * Sender of events to the subscribers of the workflow's pipeline: `$.send.sse`.
 *
 * @example Pass it to a function
 * ```ts
 * import { defineComponent, type SendSse } from "@runnel/workflow";
 *
 * function greet(sse: SendSse, name: string) {
 *   sse({ channel: "greetings", payload: `Hello, ${name}` });
 * }
 * const component = defineComponent({ run: ({ $ }) => greet($.send.sse, "Luke") });
 * ```
 */
export interface SendSse {
  /**
   * Sends an event. It returns at once and needs no `await`: the events are delivered
   * in the order of the calls when the workflow has finished or, with `live`, at once.
   *
   * @throws {TypeError} If the channel or the payload is missing or invalid.
   * @throws {RangeError} If the payload is larger or deeper than the service accepts.
   * @throws {Error} If the workflow has finished.
   */
  (event: SseEvent): void;
  /**
   * Sends what a source yields, as it comes, without `live` as well. To keep the order,
   * the events that were sent before and wait for the end of the workflow are sent first:
   * they stand even if the workflow fails later.
   *
   * The source is read no further than 64 KiB ahead of what is delivered, and it is
   * canceled if an error occurs. What it yielded before is sent all the same.
   *
   * @returns The number of events, once they are durable.
   * @throws {DeliveryError} If the service refused a request, or time was up.
   * @throws {TypeError} If the channel or the source is invalid, or a payload is no JSON.
   * @throws {RangeError} If a payload is larger or deeper than the service accepts.
   * @throws {Error} If the source is a response that is not ok, or the workflow has
   *   finished. An error of the source itself is passed on.
   *
   * @example Send tokens as they come
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   * import { defineComponent, runWorkflow } from "@runnel/workflow";
   *
   * async function* answer() {
   *   for (const token of ["Hello", " ", "there"]) yield token;
   * }
   * const component = defineComponent({
   *   run: ({ $ }) => $.send.sse.stream({ channel: "answer", source: answer() }),
   * });
   * const { steps, delivered } = await runWorkflow({
   *   pipeline: "p_aBcDeF",
   *   steps: [{ name: "ask", component }],
   *   delivery: {
   *     // The service, which is played by a function here.
   *     fetch: async (_url, { body }) => {
   *       const events = JSON.parse(String(body)).map(() => ({ id: "AAECAwQFBgc-1" }));
   *       return Response.json({ events }, { status: 202 });
   *     },
   *   },
   * });
   * equal(steps["ask"]?.["$return_value"], 3);
   * equal(delivered.length, 3);
   * ```
   */
  stream(stream: SseStream): Promise<number>;
}

/**
 * Source of payloads: a response, a stream, or an async iterable such as a generator.
 *
 * - A `Response` with `Content-Type: text/event-stream` is read as an event stream. The
 *   data of each event is a payload: JSON if it begins with `{`, `[` or `"` and is valid,
 *   otherwise a text. Control events (`runnel.…`) are passed over.
 * - A `Response` with `application/x-ndjson` has a payload in each line.
 * - The text of any other `Response` is sent piece by piece, each piece as a payload.
 * - Each value of a stream or an async iterable is a payload. Bytes are text in UTF-8,
 *   and each piece of the text is a payload.
 *
 * @example Numbers that arrive over time
 * ```ts
 * import type { SseSource } from "@runnel/workflow";
 *
 * async function* count() {
 *   for (let number = 1; number <= 3; number++) yield { number };
 * }
 * const source: SseSource = count();
 * ```
 */
export type SseSource = AsyncIterable<unknown> | ReadableStream<unknown> | Response;

/**
 * Argument of `$.send.sse.stream`.
 *
 * @example The answer of a language model
 * ```ts
 * import type { SseStream } from "@runnel/workflow";
 *
 * async function ask(question: string): Promise<SseStream> {
 *   const source = await fetch("https://model.example/v1/chat/completions", {
 *     method: "POST",
 *     body: JSON.stringify({ stream: true, messages: [{ role: "user", content: question }] }),
 *   });
 *   return { channel: "answer", source };
 * }
 * ```
 */
export interface SseStream {
  /** Channel of all events, with the rules of any event. */
  channel: string;
  /** Source of the payloads. */
  source: SseSource;
}
