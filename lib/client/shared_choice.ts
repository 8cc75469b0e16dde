/**
 * The choice of the streams that the tabs of a group share.
 *
 * @module
 */

import { MAX_PIPELINES } from "./shared_messages.ts";
import { comparePositions, haveReached, type Positions } from "./shared_positions.ts";
import type { SharedStream } from "./shared_stream.ts";
import type { ApartTab } from "./shared_tab.ts";

/** A stream that a group could have. */
export interface Choice {
  /** Streams that it replaces. */
  readonly streams: SharedStream[];
  /** Position to begin at, for each pipeline. */
  readonly positions: Positions;
  /** Tabs that would leave their own streams for it. */
  readonly tabs: ApartTab[];
}

/** The streams of a group, and the tabs that none of them feeds. */
export interface ChoiceOptions {
  readonly streams: Iterable<SharedStream>;
  readonly tabs: Iterable<ApartTab>;
  /** Whether a pipeline without a tab stays on its stream for a while. */
  isLingering: (pipeline: string) => boolean;
}

/**
 * Chooses the streams of a group: as few as its tabs need.
 *
 * @returns The streams to open, and whether some positions are of another log than others: the log
 *   of a pipeline has just been replaced, and not everybody knows it yet.
 */
export function chooseStreams(
  { streams, tabs, isLingering }: ChoiceOptions,
): { changes: Choice[]; hasForeign: boolean } {
  const choices: Choice[] = [];
  let hasForeign = false;
  const merge = (positions: Positions) => {
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

/** Whether a stream that is live has what the tabs of another one are to receive next. */
export function canReplace(stream: SharedStream, replaced: SharedStream): boolean {
  const common = stream.pipelines.filter((each) => replaced.covers([each]));
  return !stream.hadGap && haveReached(replaced.delivered, stream.since, common);
}

/** Whether a choice differs from the streams that there are. A tab alone keeps its stream. */
function isChange({ streams, positions, tabs }: Choice): boolean {
  return streams.length + tabs.length > 1 ||
    streams.some((each) => each.openCount !== positions.size);
}

/** Returns the first choice that can have some pipelines as well, from these positions on. */
function mergeInto(choices: Choice[], positions: Positions): Choice {
  const choice = choices.find((each) =>
    new Set([...each.positions.keys(), ...positions.keys()]).size <= MAX_PIPELINES &&
    !isForeign(each.positions, positions)
  );
  if (!choice) {
    choices.push({ streams: [], positions, tabs: [] });
    return choices.at(-1)!;
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

function pick(positions: ReadonlyMap<string, string>, pipelines: readonly string[]): Positions {
  return new Map(pipelines.map((pipeline) => [pipeline, positions.get(pipeline)!]));
}

/** Whether some positions are of another log than others. */
function isForeign(positions: Positions, others: Positions): boolean {
  return [...others].some(([pipeline, position]) =>
    positions.has(pipeline) && Number.isNaN(comparePositions(position, positions.get(pipeline)))
  );
}
