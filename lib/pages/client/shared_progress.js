/* @ts-self-types="../../client/shared_progress.ts" */
// @ts-nocheck: built from lib/client/shared_progress.ts by "deno task build".

import {
  comparePositions,
  formatPositions,
  haveReached,
  readPositions,
} from "./shared_positions.js";

export class SharedProgress {
  pipelines;
  #positions;
  #live = new Set();
  #ended = new Set();
  #replayed = new Map();

  constructor(pipelines, lastEventId) {
    this.pipelines = pipelines;
    this.#positions = readPositions(lastEventId, pipelines) ?? new Map();
  }

  get positions() {
    return this.#positions;
  }

  get id() {
    return formatPositions(this.#positions, this.pipelines);
  }

  get openPipelines() {
    return this.pipelines.filter((each) => !this.#ended.has(each));
  }

  get isLive() {
    return this.pipelines.every((each) => this.#live.has(each) && this.#positions.has(each));
  }

  replayedOf(pipeline) {
    return this.#replayed.get(pipeline) ?? 0;
  }

  isComparable(positions) {
    return this.openPipelines.every((each) =>
      !Number.isNaN(comparePositions(this.#positions.get(each), positions.get(each)))
    );
  }

  hasReached(positions) {
    return haveReached(this.#positions, positions, this.openPipelines);
  }

  takeBlock({ id, type, data }) {
    this.#positions = readPositions(id, this.pipelines) ?? this.#positions;
    if (data === null || !/^runnel\.(live|gap|end)$/.test(type)) return;
    const pipeline = this.pipelines.length > 1 ? JSON.parse(data).pipeline : this.pipelines[0];
    if (type === "runnel.gap") this.#live.delete(pipeline);
    else this.#live.add(pipeline);
    if (type === "runnel.end") this.#ended.add(pipeline);
  }

  takeEvent(event) {
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

  advance(positions) {
    for (const [pipeline, position] of positions) {
      if (comparePositions(position, this.#positions.get(pipeline)) > 0) {
        this.#positions.set(pipeline, position);
      }
    }
  }
}
