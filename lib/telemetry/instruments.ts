/**
 * The table of instruments. From it follow the values that are counted, both
 * outputs, and the reference in this folder's README.
 *
 * @module
 */

import {
  counter,
  type CounterDefinition,
  counters,
  gauge,
  type GaugeDefinition,
  histogram,
  type HistogramDefinition,
  info,
  type InfoDefinition,
} from "./definition.ts";
import {
  CANARY_OUTCOMES,
  type CanaryOutcome,
  GAP_REASONS,
  type GapReason,
  PUBLISH_OUTCOMES,
  type PublishOutcome,
  type Refusal,
  REFUSALS,
  REPAIR_SIGNALS,
  type RepairSignal,
  STREAM_STARTS,
  type StreamStart,
} from "./labels.ts";

/** Bounds of times, in seconds: from a fast disk to the longest deadline. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Bounds of sizes of groups. */
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** All instruments. None counts what the canary does, except for its own. */
export const INSTRUMENTS = {
  info: info("runnel.build.info", {
    labels: ["version", "deno", "kv"],
    doc: "Versions of Runnel and of Deno, which brings the engine of the log, and the kind of " +
      "store: `file`, `memory`, `server` or `platform`. Always 1.",
  }) as InfoDefinition,
  publishes: counters("runnel.publishes", {
    unit: "{request}",
    doc: "Publishes by outcome: `stored`; `duplicate`, whose events were stored before; " +
      "`rejected` (4xx); `unavailable`, of which nothing was stored (503); `unknown`, whose " +
      "events may be stored; `failed` (500).",
    label: "outcome",
    labels: PUBLISH_OUTCOMES,
  }) as CounterDefinition<PublishOutcome>,
  events: counter("runnel.events", {
    unit: "{event}",
    doc: "Events that were stored.",
  }) as CounterDefinition<never>,
  payload: counter("runnel.payload", {
    unit: "By",
    doc: "Size of the payloads of stored events.",
  }) as CounterDefinition<never>,
  publishDuration: histogram("runnel.publish.duration", {
    unit: "s",
    doc: "Time from the headers of a publish until its events were durable.",
    bounds: SECONDS,
  }) as HistogramDefinition,
  groupSize: histogram("runnel.commit.requests", {
    unit: "{request}",
    doc: "Publishes of one pipeline that shared a commit.",
    bounds: SIZES,
  }) as HistogramDefinition,
  operationSize: histogram("runnel.operation.commits", {
    unit: "{commit}",
    doc: "Commits of several pipelines that shared a write of the store.",
    bounds: SIZES,
  }) as HistogramDefinition,
  commitRetries: counter("runnel.commit.retries", {
    unit: "{retry}",
    doc: "Commits that were tried again: another writer was faster, or the store was locked.",
  }) as CounterDefinition<never>,
  storeTimeouts: counter("runnel.store.timeouts", {
    unit: "{call}",
    doc: "Calls of the store that missed their deadlines.",
  }) as CounterDefinition<never>,
  storeOutage: gauge("runnel.store.outage", {
    unit: "s",
    doc: "Time since calls of the store began to fail; 0 while it works, and if no call has " +
      "failed for two minutes.",
    across: "max",
  }) as GaugeDefinition,
  deliveries: counter("runnel.deliveries", {
    unit: "{event}",
    doc: "Events that were sent, once for each subscriber.",
  }) as CounterDefinition<never>,
  sent: counter("runnel.sent", {
    unit: "By",
    doc: "Size of all that was sent on streams, keep-alives included.",
  }) as CounterDefinition<never>,
  fanOutDelay: histogram("runnel.fan_out.delay", {
    unit: "s",
    doc:
      "Time from the commit, or from the message about it, until all subscribers of a pipeline " +
      "in an isolate were written to: one value for each pass.",
    bounds: SECONDS,
  }) as HistogramDefinition,
  streams: counters("runnel.streams", {
    unit: "{stream}",
    doc: "Streams that began: `fresh`, without a position; `resumed`, which replay what follows " +
      "their position; `unknown`, with a position of another log.",
    label: "start",
    labels: STREAM_STARTS,
  }) as CounterDefinition<StreamStart>,
  pages: counter("runnel.replay.pages", {
    unit: "{page}",
    doc: "Pages that subscribers behind the tail took from the log.",
  }) as CounterDefinition<never>,
  gaps: counters("runnel.gaps", {
    unit: "{gap}",
    doc: "Gaps that subscribers were told of, by reason.",
    label: "reason",
    labels: GAP_REASONS,
  }) as CounterDefinition<GapReason>,
  stalled: counter("runnel.streams.stalled", {
    unit: "{stream}",
    doc: "Streams that were closed because their clients did not read.",
  }) as CounterDefinition<never>,
  refusals: counters("runnel.refusals", {
    unit: "{request}",
    doc: "Requests that were refused, by the type of the problem.",
    label: "reason",
    labels: REFUSALS,
  }) as CounterDefinition<Refusal>,
  acceptFailures: counter("runnel.accept.failures", {
    unit: "{error}",
    doc: "Errors of accepting connections, for instance because the process has too many open " +
      "files. After each, an isolate refuses connections for a moment.",
  }) as CounterDefinition<never>,
  repairs: counters("runnel.tail.repairs", {
    unit: "{repair}",
    doc: "Reads of the log because a message about a commit was missing, by the signal that " +
      "revealed it.",
    label: "cause",
    labels: REPAIR_SIGNALS,
  }) as CounterDefinition<RepairSignal>,
  broadcastFailures: counter("runnel.broadcast.failures", {
    unit: "{message}",
    doc: "Messages to other isolates, and channels for them, that failed.",
  }) as CounterDefinition<never>,
  watchesLost: counter("runnel.watches.lost", {
    unit: "{watch}",
    doc: "Watches of the store that failed and were opened again.",
  }) as CounterDefinition<never>,
  behind: gauge("runnel.tail.behind", {
    unit: "{event}",
    doc: "Events that the pipeline furthest behind lacked when it was last compared with the log.",
    across: "max",
  }) as GaugeDefinition,
  subscribers: gauge("runnel.subscribers", {
    unit: "{stream}",
    doc: "Open streams.",
  }) as GaugeDefinition,
  places: gauge("runnel.subscriber.places", {
    unit: "{connection}",
    doc:
      "Streams that are open or being opened, and connections that outlive their streams: what " +
      "`RUNNEL_MAX_SUBSCRIBERS` limits in each isolate.",
  }) as GaugeDefinition,
  pipelines: gauge("runnel.pipelines.live", {
    unit: "{pipeline}",
    doc: "Pipelines with subscribers, counted in each isolate.",
  }) as GaugeDefinition,
  histories: gauge("runnel.histories", {
    unit: "{response}",
    doc: "Histories that are being sent as JSON.",
  }) as GaugeDefinition,
  publishing: gauge("runnel.publishes.in_flight", {
    unit: "{request}",
    doc: "Publishes that wait for the log.",
  }) as GaugeDefinition,
  appends: gauge("runnel.appends", {
    unit: "{request}",
    doc: "Streaming appends that are open: what `RUNNEL_MAX_APPENDS` limits in each isolate.",
  }) as GaugeDefinition,
  tailBytes: gauge("runnel.tail.size", {
    unit: "By",
    doc: "Memory of the newest events: what `RUNNEL_MAX_TAIL_BYTES` limits in each isolate.",
  }) as GaugeDefinition,
  waitingBytes: gauge("runnel.waiting.size", {
    unit: "By",
    doc: "Memory of the events that wait for the log: what `RUNNEL_MAX_WAITING_BYTES` limits. " +
      "Where another isolate owns the log, they wait in both.",
  }) as GaugeDefinition,
  bodyBytes: gauge("runnel.bodies.size", {
    unit: "By",
    doc: "Memory of the bodies that arrive.",
  }) as GaugeDefinition,
  sweeps: gauge("runnel.sweeps", {
    unit: "{pipeline}",
    doc: "Pipelines whose old events are to be removed from the log.",
  }) as GaugeDefinition,
  fileBytes: gauge("runnel.log.file.size", {
    unit: "By",
    doc: "Size of the file of the log and of what SQLite keeps beside it.",
    across: "max",
  }) as GaugeDefinition,
  certificateEnd: gauge("runnel.certificate.expiry_timestamp", {
    unit: "s",
    doc:
      "End of the validity of the certificate for HTTPS, in seconds since the Unix epoch. Only " +
      "with `RUNNEL_TLS_CERT`.",
    across: "max",
  }) as GaugeDefinition,
  loopDelay: histogram("runnel.event_loop.delay", {
    unit: "s",
    doc: "Time by which a timer of each isolate is late, measured ten times a second.",
    bounds: SECONDS,
  }) as HistogramDefinition,
  drainTime: gauge("runnel.drain.duration", {
    unit: "s",
    doc: "Time since the drain began; 0 before.",
    across: "max",
  }) as GaugeDefinition,
  canaryRounds: counters("runnel.canary.rounds", {
    unit: "{round}",
    doc: "Events that the instance published to itself: `delivered`; `lost`, which were stored " +
      "and did not arrive in time; `failed`, because the stream or the publish was refused.",
    label: "outcome",
    labels: CANARY_OUTCOMES,
  }) as CounterDefinition<CanaryOutcome>,
  canaryDelay: histogram("runnel.canary.delay", {
    unit: "s",
    doc: "Time from such a publish to the arrival of its event on a stream.",
    bounds: SECONDS,
  }) as HistogramDefinition,
};
