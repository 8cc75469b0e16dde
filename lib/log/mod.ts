/**
 * The durable event log.
 *
 * @module
 */

export { Backlog, requestBytes } from "./backlog.ts";
export type { ChannelScan } from "./channel_scan.ts";
export type { Change, Commit, Receipt } from "./commit.ts";
export { EventLog, type Log, type LogListener } from "./event_log.ts";
export type { PublishOptions } from "./event_log_options.ts";
export { endOf, type Head, type TrimPoint } from "./head.ts";
export type { AppendPart } from "./idempotency.ts";
export type { KeyCount } from "./key_counts.ts";
export { type AnnouncedHead, HeadAnnouncer } from "./head_announcer.ts";
export { isHead, rebuildHead } from "./head_repair.ts";
export { type EventPage, type Gap, readEventPage } from "./event_page.ts";
export { type HistoryLog, type HistoryPage, readHistory, readPosition } from "./history.ts";
export { headKey } from "./keys.ts";
export { ListenerSlot } from "./listener_slot.ts";
export type { MissedReason, Page } from "./log_reader.ts";
export { logRecordTimeLeft } from "./record_lifetime.ts";
export { renewEpochs } from "./renew_epochs.ts";
export { beginsTooLate, superseded } from "./publish_errors.ts";
export { readSegmentHeader, unpackSegment } from "./segment.ts";
export type { StandingAppend } from "./standing_append.ts";
export type { TimePlace } from "./time_search.ts";
