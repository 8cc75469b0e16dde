/**
 * Puts the parts together, serves them, drains them, and runs isolates.
 *
 * @module
 */

export type { OpenSession, Tickets, TicketScope, TicketUse } from "../access/tickets.ts";
export type { Clock } from "../base/clock.ts";
export type { Report } from "../base/report.ts";
export type { AccessConfig } from "../config/access_config.ts";
export type { Config } from "../config/config.ts";
export type { RequestInfo } from "../http/context.ts";
export type { Hub, Subscription } from "../hub/hub.ts";
export type { ProbeRequest } from "../hub/proxy_probe.ts";
export type { RepairCause } from "../hub/tail.ts";
export type { Kv, WatchKv } from "../kv/kv_connection.ts";
export type { Storage } from "../kv/storage.ts";
export type { Change, Commit, Receipt } from "../log/commit.ts";
export type { EventLog, Log, LogListener } from "../log/event_log.ts";
export type { Head, Mark } from "../log/head.ts";
export type { AnnouncedHead } from "../log/head_announcer.ts";
export type { History } from "../log/history.ts";
export type { MissedReason, Page } from "../log/log_reader.ts";
export type { Session, Ticket, TicketEntry } from "../log/ticket_store.ts";
export type { AcceptedEvent, NewEvent, Position } from "../protocol/event.ts";
export type { PipelineChannels, PipelineMessage } from "../sync/pipeline_channels.ts";
export { type IsolatesOptions, startIsolates } from "./isolates.ts";
export { type Address, serve, type Server } from "./server.ts";
export {
  createService,
  createServiceOn,
  type LogOptions,
  openLog,
  type Service,
  type ServiceOptions,
  type ServiceParts,
} from "./service.ts";
