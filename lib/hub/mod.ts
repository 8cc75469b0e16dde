/**
 * Fan-out inside one isolate: publishers, subscribers and live pipelines.
 *
 * @module
 */

export type { HistoryLimits, HistoryRequest } from "./histories.ts";
export { Hub, type Subscription } from "./hub.ts";
export type { HistoryPage, Receipt } from "../log/mod.ts";
export type { CanaryStats } from "./pipeline_registry.ts";
export type { RepairCause } from "./tail.ts";
