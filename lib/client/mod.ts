/**
 * The npm package `@runnel/client`: subscribes to the events of pipelines, in browsers, Deno, Node
 * 20 and later, and Bun. It has no dependencies.
 *
 * @example Print the events of a pipeline
 * ```ts ignore
 * import { subscribe } from "@runnel/client";
 *
 * for await (const event of subscribe("http://localhost:8000", { pipelines: "p_aBcDeF" })) {
 *   if (event.type === "event") console.log(event.channel, event.payload);
 * }
 * ```
 *
 * @module
 */

export { SubscribeError } from "./errors.ts";
export { subscribe } from "./subscribe.ts";
export type { ClientEvent, EndEvent, GapEvent, LiveEvent, PublishedEvent } from "./event_types.ts";
export type { ClientClock, RenewalContext, SubscribeOptions } from "./subscribe_options.ts";
export type { ConnectionState, Subscription } from "./subscription.ts";
