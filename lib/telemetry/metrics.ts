/**
 * The metrics of an isolate: a value for each instrument, and snapshots of all,
 * which isolates send each other.
 *
 * @module
 */

import type {
  CounterDefinition,
  Definition,
  GaugeDefinition,
  HistogramDefinition,
} from "./definition.ts";
import { INSTRUMENTS } from "./instruments.ts";
import { Counter, Counters, Gauge, Histogram, Info, type Values } from "./values.ts";

/** Value of an instrument. */
export type ValueOf<D extends Definition> = D extends CounterDefinition<infer Label>
  ? [Label] extends [never] ? Counter : Counters<Label>
  : D extends HistogramDefinition ? Histogram
  : D extends GaugeDefinition ? Gauge
  : Info;

/** The values of all instruments, by their keys in the table. */
export type Metrics = {
  readonly [Key in keyof typeof INSTRUMENTS]: ValueOf<(typeof INSTRUMENTS)[Key]>;
};

/** Key of an instrument in the table. */
export type InstrumentKey = keyof typeof INSTRUMENTS;

/** The instruments with their keys, in the order of the table. */
export const ENTRIES: readonly (readonly [InstrumentKey, Definition])[] = Object.entries(
  INSTRUMENTS,
) as [InstrumentKey, Definition][];

/** The numbers of all instruments at one moment, as plain data. */
export interface Snapshot {
  /** Numbers by instrument. An isolate that does not have one leaves it out. */
  values: Partial<Record<InstrumentKey, number[]>>;
  /** Facts about the process, from the isolate that knows them. */
  facts: Record<string, string> | null;
}

/**
 * Creates the metrics of an isolate, all zero.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 *
 * const metrics = createMetrics();
 * metrics.events.add(3);
 * deepEqual(takeSnapshot(metrics).values.events, [3]);
 * ```
 */
export function createMetrics(): Metrics {
  return Object.fromEntries(ENTRIES.map(([key, definition]) => [key, create(definition)])) as
    & Metrics
    & Record<string, Values>;
}

function create(definition: Definition): Values {
  switch (definition.kind) {
    case "counter":
      return definition.label === null ? new Counter() : new Counters(definition);
    case "gauge":
      return new Gauge();
    case "histogram":
      return new Histogram(definition);
    case "info":
      return new Info(definition);
  }
}

/** Reads all values. */
export function takeSnapshot(metrics: Metrics): Snapshot {
  const values: Snapshot["values"] = {};
  for (const [key] of ENTRIES) {
    const numbers = metrics[key].read();
    if (numbers) values[key] = numbers;
  }
  return { values, facts: metrics.info.facts };
}

/** Combines the snapshots of several isolates into one. */
export function combine(snapshots: readonly Snapshot[]): Snapshot {
  const values: Snapshot["values"] = {};
  for (const [key, { across }] of ENTRIES) {
    const present = snapshots.flatMap((snapshot) =>
      snapshot.values[key] ? [snapshot.values[key]] : []
    );
    if (present.length > 0) {
      values[key] = present.reduce((sum, numbers) => merge(across, sum, numbers));
    }
  }
  return { values, facts: snapshots.find(({ facts }) => facts)?.facts ?? null };
}

function merge(across: Definition["across"], some: number[], others: number[]): number[] {
  return some.map((value, index) =>
    across === "sum" ? value + others[index]! : Math.max(value, others[index]!)
  );
}
