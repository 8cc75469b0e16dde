/* @ts-self-types="../../client/shared_choice.ts" */
// @ts-nocheck: built from lib/client/shared_choice.ts by "deno task build".

import { MAX_PIPELINES } from "./shared_messages.js";
import { comparePositions, haveReached } from "./shared_positions.js";

export function chooseStreams(
  { streams, tabs, isLingering },
) {
  const choices = [];
  let hasForeign = false;
  const merge = (positions) => {
    hasForeign ||= choices.some((each) => isForeign(each.positions, positions));
    return mergeInto(choices, positions);
  };
  for (const stream of streams) {
    const positions = stream.readPositions();
    const members = [...stream.tabs, ...stream.waiting];
    const needed = stream.pipelines.filter((each) =>
      members.some((tab) => tab.reads(each)) || isLingering(each)
    );
    if (stream.isLive && members.length > 0) merge(pick(positions, needed)).streams.push(stream);
  }
  for (const tab of tabs) merge(pick(tab.join.positions, tab.pipelines)).tabs.push(tab);
  return { changes: choices.filter(isChange), hasForeign };
}

export function canReplace(stream, replaced) {
  const common = stream.pipelines.filter((each) => replaced.covers([each]));
  return !stream.hadGap && haveReached(replaced.delivered, stream.since, common);
}

function isChange({ streams, positions, tabs }) {
  return streams.length + tabs.length > 1 ||
    streams.some((each) => each.openCount !== positions.size);
}

function mergeInto(choices, positions) {
  const choice = choices.find((each) =>
    new Set([...each.positions.keys(), ...positions.keys()]).size <= MAX_PIPELINES &&
    !isForeign(each.positions, positions)
  );
  if (!choice) {
    choices.push({ streams: [], positions, tabs: [] });
    return choices.at(-1);
  }
  for (const [pipeline, position] of positions) {
    const other = choice.positions.get(pipeline);
    // The first one has what all need.
    if (!other || comparePositions(position, other) < 0) {
      choice.positions.set(pipeline, position);
    }
  }
  return choice;
}

function pick(positions, pipelines) {
  return new Map(pipelines.map((pipeline) => [pipeline, positions.get(pipeline)]));
}

function isForeign(positions, others) {
  return [...others].some(([pipeline, position]) =>
    positions.has(pipeline) && Number.isNaN(comparePositions(position, positions.get(pipeline)))
  );
}
