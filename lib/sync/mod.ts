/**
 * Messages about commits between isolates and processes.
 *
 * @module
 */

export { HeadWatches } from "./head_watches.ts";
export { PipelineChannels, type PipelineMessage } from "./pipeline_channels.ts";
export { Reconcile } from "./reconciler.ts";
