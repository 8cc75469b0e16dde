/**
 * Fan-out inside one isolate: publishers, subscribers and live pipelines.
 *
 * @module
 */

export type { Append, AppendGroup, AppendOptions } from "./append.ts";
export type { HistoryLimits, HistoryRequest, PageRequest, ReadRequest } from "./histories.ts";
export type { AppendLimits, AppendOpening } from "./appends.ts";
export { Hub } from "./hub.ts";
export type { PollRequest } from "./page_polls.ts";
export type { Subscription } from "./subscription.ts";
export type { EventPage, Gap, HistoryPage, Receipt, StandingAppend } from "../log/mod.ts";
export type { CanaryStats } from "./pipeline_registry.ts";
export type { RepairCause } from "./tail.ts";
