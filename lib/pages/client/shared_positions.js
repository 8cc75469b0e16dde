/* @ts-self-types="../../client/shared_positions.ts" */
// @ts-nocheck: built from lib/client/shared_positions.ts by "deno task build".

export function readPositions(id, pipelines) {
  const parts = id.split(".");
  if (parts.length !== pipelines.length || parts.includes("")) return null;
  return new Map(pipelines.map((pipeline, index) => [pipeline, parts[index]]));
}

export function formatPositions(positions, pipelines) {
  return pipelines.map((pipeline) => positions.get(pipeline)).join(".");
}

export function comparePositions(a, b) {
  if (a === undefined || b === undefined) return NaN;
  // The epoch may hold hyphens as well.
  const [endA, endB] = [a.lastIndexOf("-"), b.lastIndexOf("-")];
  if (a.slice(0, endA) !== b.slice(0, endB)) return NaN;
  return Number(a.slice(endA + 1)) - Number(b.slice(endB + 1));
}

export function haveReached(
  positions,
  goal,
  pipelines,
) {
  for (const pipeline of pipelines) {
    if (!(comparePositions(positions.get(pipeline), goal.get(pipeline)) >= 0)) return false;
  }
  return true;
}
