/**
 * Publishes events, with the delivery of the package `@runnel/workflow`.
 *
 * @example Publish an event
 * ```ts ignore
 * import { publish } from "@runnel/client/publish";
 *
 * const event = { pipeline: "p_shop", channel: "orders", payload: { number: 17 } };
 * const [{ id }] = await publish("http://localhost:8000", event);
 * ```
 *
 * @module
 */

import {
  assertChannel,
  assertDelivery,
  createDeliveryError,
  type DeliveredEvent,
  DeliveryError,
  type DeliveryOptions,
  type Fetch,
  ingestUrl,
  Outbox,
  publish as deliver,
  sendStream,
  type SseEvent,
  type SseSource,
  toJson,
  toRequests,
  type UnsentRequest,
} from "../workflow/delivery.ts";

export { type DeliveredEvent, DeliveryError };
export type { DeliveryOptions, Fetch, SseEvent, SseSource, UnsentRequest };

/**
 * Event to publish.
 *
 * @example An order
 * ```ts
 * import type { NewEvent } from "@runnel/client/publish";
 *
 * const event: NewEvent = { pipeline: "p_shop", channel: "orders", payload: { number: 17 } };
 * ```
 */
export interface NewEvent {
  /** Pipeline ID: `p_` and 1 to 62 letters, digits, `_` or `-`. */
  pipeline: string;
  /** Channel: 1 to 128 UTF-16 code units, none of them a control character. */
  channel: string;
  /** Payload: any JSON value, up to 60 KiB as JSON text and 512 levels deep. */
  payload: unknown;
}

/**
 * Options for {@linkcode publish}. Those of the delivery are `maxMs`, `onRetry`, `fetch`, `now`,
 * `wait` and `random`.
 *
 * @example A key of the order that the event is about
 * ```ts
 * import type { PublishOptions } from "@runnel/client/publish";
 *
 * const options: PublishOptions = { token: "a-token-of-a-publisher", key: "order-17" };
 * ```
 */
export interface PublishOptions extends DeliveryOptions {
  /** Token of a publisher, if the service asks for one. */
  token?: string | undefined;
  /**
   * Idempotency key, 1 to 255 visible ASCII characters: the same events with the same key are
   * stored once within 24 hours, also if the program was restarted in between. By default, each
   * call has a key of its own, by which its attempts are recognized.
   */
  key?: string | undefined;
}

/**
 * Options for {@linkcode append}. Those of the delivery are as in {@linkcode PublishOptions}.
 *
 * @example The answer of a language model
 * ```ts
 * import type { AppendOptions } from "@runnel/client/publish";
 *
 * const options: AppendOptions = { channel: "answer", end: true };
 * ```
 */
export interface AppendOptions extends DeliveryOptions {
  /** Channel of all events. */
  channel: string;
  /** Token of a publisher, if the service asks for one. */
  token?: string | undefined;
  /** Whether the run of the pipeline ends after the last event. It does not if an error occurs. */
  end?: boolean | undefined;
}

/**
 * Publishes one event or several, in order. Transient failures are retried with the same key, so
 * that no event is stored twice.
 *
 * Events that fit into one request (1,000 events, 512 KiB) are stored all or none; more of them
 * travel in several requests, one at a time.
 *
 * @param url URL of the service, with the path that it is served below.
 * @param events One or more events, all of one pipeline.
 * @returns The events with their IDs, in order, once they are durable.
 * @throws {TypeError} If the URL, an option or an event is invalid, or the events are of several
 *   pipelines, or too many for one key.
 * @throws {RangeError} If a payload is larger or deeper than the service accepts.
 * @throws {DeliveryError} If the service refused a request, or time was up.
 *
 * @example Retry an unavailable service
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 * import { publish } from "@runnel/client/publish";
 *
 * // The service, which is played by a function here.
 * const answers = [
 *   new Response(null, { status: 503 }),
 *   Response.json({ events: [{ id: "AAECAwQFBgc-1" }] }, { status: 202 }),
 * ];
 * const delivered = await publish(
 *   "http://localhost:8000",
 *   { pipeline: "p_shop", channel: "orders", payload: 17 },
 *   { key: "order-17", fetch: async () => answers.shift()!, wait: async () => {} },
 * );
 * deepEqual(delivered, [{ channel: "orders", id: "AAECAwQFBgc-1" }]);
 * ```
 */
export async function publish(
  url: string | URL,
  events: NewEvent | readonly NewEvent[],
  options: PublishOptions = {},
): Promise<readonly DeliveredEvent[]> {
  const { token, key, ...delivery } = options ?? {};
  assertDelivery(delivery);
  const all = [events].flat() as NewEvent[];
  if (all.some((event) => typeof event !== "object" || event === null)) {
    throw new TypeError(
      "Cannot publish: expected { pipeline, channel, payload }, or a list of them",
    );
  }
  const pipelines = [...new Set(all.map(({ pipeline }) => pipeline))];
  if (pipelines.length !== 1) {
    throw new TypeError(`Cannot publish: expected events of one pipeline, got ${pipelines.length}`);
  }
  const target = ingestUrl({ pipeline: pipelines[0]!, url: `${url}`, token });
  const requests = toRequests(
    pipelines[0]!,
    all.map(({ channel, payload }) => {
      assertChannel(channel);
      return { channel, payload: toJson(payload) };
    }),
  );
  if (key !== undefined) {
    if (typeof key !== "string" || !/^[!-~]{1,255}$/.test(key)) {
      throw new TypeError("Cannot publish: the key: expected 1 to 255 visible ASCII characters");
    }
    if (requests.length > 1) {
      throw new TypeError("Cannot publish: the events do not fit into one request, as one key has");
    }
    requests[0]!.idempotencyKey = key;
  }
  const { delivered, failure } = await deliver(target, requests, token, delivery);
  if (failure) throw createDeliveryError(failure, delivered, failure.unsent);
  return delivered;
}

/**
 * Publishes what a source yields while it comes: the answer of a language model, for example.
 *
 * The source is read no further than 64 KiB or 1,000 events ahead of what is delivered. It travels
 * in requests with keys, each of which is retried by itself, and is canceled if an error occurs. If
 * that is an error of its own, all that it yielded before is sent.
 *
 * @param url URL of the service, with the path that it is served below.
 * @param pipeline Pipeline ID.
 * @param source A response, a stream, or an async iterable.
 * @returns The events with their IDs, in order, once they are durable.
 * @throws {TypeError} If the URL, the pipeline, the source or an option is invalid, or a payload is
 *   no JSON.
 * @throws {RangeError} If a payload is larger or deeper than the service accepts.
 * @throws {DeliveryError} If the service refused a request, or time was up.
 * @throws {Error} If the source is a response that is not ok. An error of the source itself is
 *   passed on.
 *
 * @example Tokens as they come
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { append } from "@runnel/client/publish";
 *
 * async function* answer() {
 *   for (const token of ["Hello", " ", "there"]) yield token;
 * }
 * const delivered = await append("http://localhost:8000", "p_answer", answer(), {
 *   channel: "answer",
 *   // The service, which is played by a function here.
 *   fetch: async (_url, { body }) => {
 *     const events = JSON.parse(String(body)).map(() => ({ id: "AAECAwQFBgc-1" }));
 *     return Response.json({ events }, { status: 202 });
 *   },
 * });
 * equal(delivered.length, 3);
 * ```
 */
export async function append(
  url: string | URL,
  pipeline: string,
  source: SseSource,
  options: AppendOptions,
): Promise<readonly DeliveredEvent[]> {
  const { channel, token, end = false, ...delivery } = options ?? {};
  const outbox = new Outbox({ pipeline, url: `${url}`, token }, { ...delivery, live: true });
  try {
    await sendStream(outbox, { channel, source });
  } catch (error) {
    // What came before an error of the source. Its own error would hide that.
    await outbox.finish().catch(() => {});
    throw error;
  }
  return await outbox.finish({ end });
}
