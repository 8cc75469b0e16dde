/**
 * The pipelines that instances publish to by themselves.
 *
 * @module
 */

/** Beginning of the pipeline IDs of canaries, which only they publish to. */
export const CANARY_PREFIX = "p_runnel-canary";

/** Whether a pipeline is that of a canary, of which no user metric is told. */
export function isCanaryPipeline(id: string): boolean {
  return id.startsWith(CANARY_PREFIX);
}
