/**
 * The writers of an isolate's log, one for each pipeline that was written lately.
 *
 * @module
 */

import type { Reporter } from "../base/mod.ts";
import type { CommitterOptions } from "./committer.ts";
import { LogWriter, type LogWriterOptions } from "./log_writer.ts";
import { SharedTurn } from "./shared_turn.ts";

/**
 * Number of idle writers from which on they are evicted, with the heads that
 * they have cached. With fewer writers than live pipelines, every commit would
 * have to read its head first.
 */
const MAX_IDLE_WRITERS = 4000;

/** Time for which no further step of the clock is reported, in milliseconds: it concerns all pipelines. */
const TIME_STEP_REPORT_MS = 60 * 60 * 1000;

/** Options for {@linkcode LogWriters}. */
export interface LogWritersOptions extends Omit<LogWriterOptions, "onTimeStep" | "turn"> {
  /** Clock, random numbers and reporter. */
  runtime: CommitterOptions["runtime"] & { report: Reporter };
}

/** The writers of a log. */
export class LogWriters {
  readonly #options: LogWritersOptions;
  readonly #turn = new SharedTurn();
  readonly #writers = new Map<string, LogWriter>();
  #timeStepReportedUntil = -Infinity;

  constructor(options: LogWritersOptions) {
    this.#options = options;
  }

  /** Returns the writer of a pipeline, and creates it if there is none. */
  getOrCreate(pipeline: string): LogWriter {
    let writer = this.#writers.get(pipeline);
    if (!writer) {
      this.#evictIdle();
      writer = new LogWriter(pipeline, {
        ...this.#options,
        turn: this.#turn,
        onTimeStep: (pipeline, ms) => this.#reportTimeStep(pipeline, ms),
      });
      this.#writers.set(pipeline, writer);
    }
    return writer;
  }

  #evictIdle(): void {
    for (const [pipeline, writer] of this.#writers) {
      if (this.#writers.size < MAX_IDLE_WRITERS) return;
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
