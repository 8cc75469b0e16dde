/**
 * The parts of a workload: entries that are measured in turns, and goals.
 *
 * @module
 */

import type { Sample } from "./statistics.ts";

/** A column of a table. */
export interface Column {
  /** Name of the value in a {@linkcode Sample}. */
  value: string;
  /** Heading, with the unit. */
  heading: string;
  /** Number of digits after the point. @default {0} */
  digits?: number;
}

/** A row of a table: one server under one load, which each turn measures anew. */
export interface Entry {
  /** Load, if the workload has several. Ratios compare entries of the same group. */
  group: string;
  /** Name of the server, or of its settings. */
  name: string;
  /** Whether it is Runnel, a failure of which fails the benchmark. */
  isRunnel: boolean;
  /** Promises of the server. */
  promises: string;
  /** Reason why it cannot be measured on this machine, or `null`. */
  missing: string | null;
  /** Measures it once. */
  run(): Promise<Sample>;
}

/** A ratio, or a median, that the first entry of each group should reach. */
export interface Goal {
  /** Column that is compared. */
  value: string;
  /**
   * Start of the name of the entry that the first one is compared to. Empty for a bound
   * of the median itself.
   */
  to: string;
  /** Group, if it holds for one only. */
  group?: string;
  /** Least ratio or median. */
  atLeast?: number;
  /** Greatest ratio or median. */
  atMost?: number;
}

/** A workload: a table of results. */
export interface Work {
  /** Letter by which `--work` names it. */
  letter: string;
  /** Title of its table. */
  title: string;
  /** The first column is the one whose ratios are shown. */
  columns: readonly Column[];
  entries: readonly Entry[];
  goals: readonly Goal[];
  /** Remark below the table. */
  remark?: string;
}

/** Results of an entry, turn by turn: a sample, or the message of an error. */
export interface Result {
  entry: Entry;
  turns: (Sample | string)[];
}
