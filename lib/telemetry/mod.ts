/**
 * Metrics, each defined once, as OpenMetrics text and through OpenTelemetry; and traces.
 *
 * @module
 */

export type {
  CounterDefinition,
  Definition,
  GaugeDefinition,
  HistogramDefinition,
  InfoDefinition,
  Unit,
} from "./definition.ts";
export type { INSTRUMENTS } from "./instruments.ts";
export type {
  CanaryOutcome,
  GapReason,
  PublishOutcome,
  Refusal,
  RepairSignal,
  StreamStart,
} from "./labels.ts";
export { measureLoopDelay } from "./loop_delay.ts";
export { exportMetrics } from "./meter.ts";
export {
  combine,
  createMetrics,
  type InstrumentKey,
  type Metrics,
  type Snapshot,
  takeSnapshot,
  type ValueOf,
} from "./metrics.ts";
export { CONTENT_TYPE, formatOpenMetrics } from "./open_metrics.ts";
export {
  type FanOutTrace,
  isTracing,
  type PublishTrace,
  traceFanOut,
  tracePublish,
} from "./traces.ts";
export type { Counter, Counters, Gauge, Histogram, Info, Values } from "./values.ts";
