/**
 * Fan-out inside one isolate: publishers, subscribers and live pipelines.
 *
 * @module
 */

export { Hub, type Subscription } from "./hub.ts";
export type { RepairCause } from "./tail.ts";
