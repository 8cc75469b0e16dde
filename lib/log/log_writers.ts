/**
 * The writers of an isolate's log, one for each pipeline that was written lately.
 *
 * @module
 */

import type { Reporter } from "../base/mod.ts";
import type { VersionedHead } from "./commit.ts";
import type { CommitterOptions } from "./committer.ts";
import { LogWriter, type LogWriterOptions } from "./log_writer.ts";
import { SharedTurn } from "./shared_turn.ts";

/**
 * Number of idle writers from which on they are evicted, with the heads that
 * they have cached: more than there are live pipelines by default. With fewer,
 * every commit would have to read its head first. One takes about 2 KB.
 */
const MAX_IDLE_WRITERS = 12_000;

/** Time for which no further step of the clock is reported, in milliseconds: it concerns all pipelines. */
const TIME_STEP_REPORT_MS = 60 * 60 * 1000;

/** Options for {@linkcode LogWriters}. */
export interface LogWritersOptions extends Omit<LogWriterOptions, "onTimeStep" | "turn"> {
  /** Clock, random numbers and reporter. */
  runtime: CommitterOptions["runtime"] & { report: Reporter };
  /** Number of idle writers from which on they are evicted. @default {12000} */
  maxIdleWriters?: number | undefined;
}

/** The writers of a log. */
export class LogWriters {
  readonly #options: LogWritersOptions;
  readonly #writerOptions: LogWriterOptions;
  readonly #writers = new Map<string, LogWriter>();
  #timeStepReportedUntil = -Infinity;

  constructor(options: LogWritersOptions) {
    this.#options = options;
    this.#writerOptions = {
      ...options,
      turn: new SharedTurn(),
      onTimeStep: (pipeline, ms) => this.#reportTimeStep(pipeline, ms),
    };
  }

  /** Returns the writer of a pipeline, and creates it if there is none. */
  getOrCreate(pipeline: string): LogWriter {
    return this.#writers.get(pipeline) ?? this.#create(pipeline);
  }

  /**
   * Creates the writer of a pipeline with a head that was just read, unless there is one:
   * its first commit need not read the head then. A head that has changed by that time
   * costs the commit, and those that share its operation, one more try. So this is not
   * for a store that other processes write to.
   */
  prepare(pipeline: string, head: VersionedHead): void {
    if (!this.#writers.has(pipeline)) this.#create(pipeline, head);
  }

  #create(pipeline: string, head?: VersionedHead): LogWriter {
    this.#evictIdle();
    const writer = new LogWriter(pipeline, this.#writerOptions, head);
    this.#writers.set(pipeline, writer);
    return writer;
  }

  #evictIdle(): void {
    const { maxIdleWriters = MAX_IDLE_WRITERS } = this.#options;
    for (const [pipeline, writer] of this.#writers) {
      if (this.#writers.size < maxIdleWriters) return;
      if (writer.idle) this.#writers.delete(pipeline);
    }
  }

  #reportTimeStep(pipeline: string, ms: number): void {
    const { clock, report } = this.#options.runtime;
    const now = clock.monotonic();
    if (now < this.#timeStepReportedUntil) return;
    this.#timeStepReportedUntil = now + TIME_STEP_REPORT_MS;
    report(
      "The clock was set back: new events of a pipeline are earlier than those before them. " +
        "Steps of other pipelines are not reported for an hour",
      undefined,
      { fields: { pipeline, seconds: Math.round(ms / 1000) } },
    );
  }

  /** Resolves when the commit of a pipeline that is in flight, if there is one, has ended. */
  async waitForCommit(pipeline: string): Promise<void> {
    await this.#writers.get(pipeline)?.waitForCommit();
  }

  /** Refuses waiting requests, and resolves when commits in flight have ended. */
  async close(): Promise<void> {
    await Promise.all(this.#writers.values().map((writer) => writer.close()));
  }
}
