/**
 * Events, their rules and their wire format. Runs on every platform.
 *
 * @module
 */

export { withoutByteOrderMark } from "./byte_order_mark.ts";
export { CANARY_PREFIX, isCanaryPipeline } from "./canary.ts";
export { ChannelFilter } from "./channel_filter.ts";
export {
  type AcceptedEvent,
  formatEventId,
  formatGapId,
  joinEventIds,
  MAX_CHANNELS,
  MAX_PIPELINES,
  type NewEvent,
  parseEventId,
  parseJoinedId,
  type Position,
  splitEventIds,
} from "./event.ts";
export {
  MAX_BODY_BYTES,
  MAX_CHANNEL_LENGTH,
  MAX_EVENTS,
  MAX_PAYLOAD_BYTES,
  MAX_PAYLOAD_DEPTH,
  PIPELINE_PATTERN,
  validateChannel,
  validatePipelineId,
} from "./event_rules.ts";
export { encodeComment, encodeEvent, encodeRetry } from "./event_stream.ts";
export { type HistoryRange, rangeOfNewest } from "./history_range.ts";
export { END_CHANNEL, endEntry, readEnd, type RunEnd } from "./run_end.ts";
export { EventStreamReader } from "./event_stream_reader.ts";
export { readSince } from "./since.ts";
export { LineSplitter } from "./line_splitter.ts";
export { readTraceParent } from "./trace_parent.ts";
export { escapeLineSeparators } from "./line_separators.ts";
