/**
 * A Server-Sent Events service: starts it, serves it by one isolate or by several,
 * and drains it.
 *
 * @example Usage
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 * import { start } from "./mod.ts";
 *
 * const config = readConfig({ RUNNEL_KV: ":memory:", PORT: "0" });
 * const server = await start({ config, onFailure: console.error });
 * console.log(`Runnel listens on port ${server.address.port}`);
 * await server.drain();
 * ```
 *
 * @module
 */

export type {
  CanaryIdentity,
  GrantedScope,
  GrantedStream,
  LocalSession,
  OpenSession,
  RequestedScope,
  Session,
  Ticket,
  TicketEntry,
  TicketKey,
  Tickets,
  TicketScope,
  TicketStore,
  TicketUse,
  TicketWrite,
} from "../access/mod.ts";
export {
  type Clock,
  type LogFields,
  type LogFormat,
  type LogLevel,
  type Reporter,
  type ReportOptions,
  RunnelError,
  type RunnelErrorType,
  type Runtime,
} from "../base/mod.ts";
export type {
  ACCESS_SETTINGS,
  AccessConfig,
  Config,
  Environment,
  Integer,
  Names,
  Setting,
  SettingName,
  SETTINGS,
  Settings,
  SettingTable,
  Values,
} from "../config/mod.ts";
export { readConfig } from "../config/mod.ts";
export type { App, BodyRoom, ProbeRequest, ProxyProbes, RequestInfo } from "../http/mod.ts";
export type {
  Append,
  AppendGroup,
  AppendLimits,
  AppendOpening,
  AppendOptions,
  CanaryStats,
  HistoryLimits,
  HistoryRequest,
  Hub,
  PageRequest,
  PollRequest,
  ReadRequest,
  RepairCause,
  Subscription,
} from "../hub/mod.ts";
export type { DiskReserve, Kv, KvStorage, StoreGuard, WatchKv } from "../kv/mod.ts";
export type {
  AnnouncedHead,
  AppendPart,
  Change,
  ChannelScan,
  Commit,
  EventLog,
  EventPage,
  Gap,
  Head,
  HistoryLog,
  HistoryPage,
  KeyCount,
  Log,
  LogListener,
  MissedReason,
  Page,
  PublishOptions,
  Receipt,
  StandingAppend,
  TimePlace,
  TrimPoint,
} from "../log/mod.ts";
export type {
  CanaryOutcome,
  Counter,
  CounterDefinition,
  Counters,
  Definition,
  GapReason,
  Gauge,
  GaugeDefinition,
  Histogram,
  HistogramDefinition,
  Info,
  InfoDefinition,
  InstrumentKey,
  INSTRUMENTS,
  Metrics,
  PublishOutcome,
  Refusal,
  RepairSignal,
  Snapshot,
  StreamStart,
  Unit,
  ValueOf,
  Values as InstrumentValues,
} from "../telemetry/mod.ts";
export type { AcceptedEvent, HistoryRange, NewEvent, Position, RunEnd } from "../protocol/mod.ts";
export type { HeadSource, PipelineChannels } from "../sync/mod.ts";
export type { CertificatePaths, KeyPair } from "./certificate.ts";
export type { CertificateFacts } from "./certificate_facts.ts";
export { CertificateFiles, type CertificateFilesOptions } from "./certificate_files.ts";
export { type IsolatesOptions, startIsolates } from "./isolates.ts";
export { type Address, serve, type Server } from "./server.ts";
export {
  createService,
  createServiceOn,
  type Service,
  type ServiceOptions,
  type ServiceParts,
} from "./service.ts";
export { openStores, type Stores, type StoresOptions } from "./stores.ts";
export { createRuntimeOf } from "./runtime.ts";
export { start, type StartOptions } from "./start.ts";
