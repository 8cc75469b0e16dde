/**
 * The progress of a tab in its event stream.
 *
 * @module
 */

import type { SharedEvent } from "./shared_messages.ts";
import {
  comparePositions,
  formatPositions,
  haveReached,
  type Positions,
  readPositions,
} from "./shared_positions.ts";
import type { StreamBlock } from "./stream_parser.ts";

/** Positions of the pipelines of a tab, and which of them are live or have ended. */
export class SharedProgress {
  /** Pipelines of the tab, in the order of its URL. */
  readonly pipelines: readonly string[];
  #positions: Positions;
  readonly #live = new Set<string>();
  readonly #ended = new Set<string>();
  /** Number of events since the beginning of the feed, by pipeline. */
  readonly #replayed = new Map<string, number>();

  constructor(pipelines: readonly string[], lastEventId: string) {
    this.pipelines = pipelines;
    this.#positions = readPositions(lastEventId, pipelines) ?? new Map();
  }

  /** Position of each pipeline. */
  get positions(): ReadonlyMap<string, string> {
    return this.#positions;
  }

  /** Event ID of these positions. */
  get id(): string {
    return formatPositions(this.#positions, this.pipelines);
  }

  /** Pipelines whose run has not ended. */
  get openPipelines(): string[] {
    return this.pipelines.filter((each) => !this.#ended.has(each));
  }

  /** Whether all pipelines are live, each at a position. */
  get isLive(): boolean {
    return this.pipelines.every((each) => this.#live.has(each) && this.#positions.has(each));
  }

  /** Number of events of a pipeline since the beginning of the feed. */
  replayedOf(pipeline: string): number {
    return this.#replayed.get(pipeline) ?? 0;
  }

  /** Whether positions are of the same logs as those of the tab. */
  isComparable(positions: ReadonlyMap<string, string>): boolean {
    return this.openPipelines.every((each) =>
      !Number.isNaN(comparePositions(this.#positions.get(each), positions.get(each)))
    );
  }

  /** Whether the tab is at or after positions. */
  hasReached(positions: ReadonlyMap<string, string>): boolean {
    return haveReached(this.#positions, positions, this.openPipelines);
  }

  /** Takes note of the position and the marker in a block of the service. */
  takeBlock({ id, type, data }: StreamBlock): void {
    this.#positions = readPositions(id, this.pipelines) ?? this.#positions;
    if (data === null || !/^runnel\.(live|gap|end)$/.test(type)) return;
    const pipeline = this.pipelines.length > 1 ? JSON.parse(data).pipeline : this.pipelines[0]!;
    if (type === "runnel.gap") this.#live.delete(pipeline);
    else this.#live.add(pipeline);
    if (type === "runnel.end") this.#ended.add(pipeline);
  }

  /**
   * Takes an event of the feed.
   *
   * @returns Whether it comes next, or the tab has it already. With `"elsewhere"`, the feed does not
   *   continue where the tab is.
   */
  takeEvent(event: SharedEvent): "next" | "known" | "elsewhere" {
    const { type, pipeline, id } = event;
    const position = this.#positions.get(pipeline);
    const distance = comparePositions(id, position);
    if (distance <= 0) return "known";
    const isNext = type !== "gap" ||
      comparePositions(position, event.after) >= 0 && comparePositions(position, event.upTo) <= 0;
    if (!(distance > 0) || !isNext) return "elsewhere";
    this.#positions.set(pipeline, id);
    if (type === "end") this.#ended.add(pipeline);
    if (type === "event") this.#replayed.set(pipeline, this.replayedOf(pipeline) + 1);
    return "next";
  }

  /** Goes to the positions that the feed has reached without an event. */
  advance(positions: ReadonlyMap<string, string>): void {
    for (const [pipeline, position] of positions) {
      if (comparePositions(position, this.#positions.get(pipeline)) > 0) {
        this.#positions.set(pipeline, position);
      }
    }
  }
}
