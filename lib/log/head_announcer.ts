/**
 * Announces the heads of pipelines that were written a moment ago. So an isolate
 * that lost the broadcast of the last event learns of it before the next event.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Change } from "./commit.ts";
import type { Head } from "./head.ts";
import { readSegmentHeader } from "./segment.ts";

/**
 * Time between two announcements, in milliseconds. A pipeline is announced once
 * it has been quiet for one to two of them; a busy one needs no announcement,
 * because its next event shows what is missing.
 */
const ANNOUNCE_MS = 100;

/** A pipeline with the part of its head that a tail is compared with. */
export interface AnnouncedHead extends Pick<Head, "epoch" | "sequence" | "cleared"> {
  /** The pipeline's ID. */
  pipeline: string;
}

/** Options for {@linkcode HeadAnnouncer}. */
export interface HeadAnnouncerOptions {
  /** Clock used for timers and deadlines. */
  runtime: Pick<Runtime, "clock">;
  /** Called with the heads of all pipelines that have gone quiet since the last call. */
  announce: (heads: AnnouncedHead[]) => void;
}

/** Announces the pipelines of an isolate's log that have gone quiet. */
export class HeadAnnouncer implements Disposable {
  readonly #options: HeadAnnouncerOptions;
  /** Heads that changed since the last tick. */
  #recent = new Map<string, AnnouncedHead>();
  /** Heads that changed before the last tick and not since. */
  #quiet = new Map<string, AnnouncedHead>();
  /** Runs while there are heads to announce. */
  #timer: Disposable | null = null;

  constructor(options: HeadAnnouncerOptions) {
    this.#options = options;
  }

  /** Notes a change. Its pipeline is announced when no other change follows. */
  add(change: Change): void {
    const { pipeline, epoch } = change;
    const head = "segments" in change
      ? { sequence: readSegmentHeader(change.segments.at(-1)!).last, cleared: change.cleared }
      : { sequence: change.oldest - 1, cleared: change.oldest };
    this.#quiet.delete(pipeline);
    this.#recent.set(pipeline, { pipeline, epoch, ...head });
    this.#timer ??= this.#options.runtime.clock.every(ANNOUNCE_MS, () => this.#tick());
  }

  #tick(): void {
    const heads = [...this.#quiet.values()];
    this.#quiet = this.#recent;
    this.#recent = new Map();
    if (this.#quiet.size === 0) this[Symbol.dispose]();
    if (heads.length > 0) this.#options.announce(heads);
  }

  /** Stops the announcements. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }
}
