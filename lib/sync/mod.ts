/**
 * Messages about commits between isolates and processes.
 *
 * @module
 */

export { PipelineChannels } from "./pipeline_channels.ts";
export { type Follower, type HeadSource, type ObservedHead, Sync } from "./sync.ts";
