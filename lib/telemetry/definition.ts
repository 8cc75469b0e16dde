/**
 * Definitions of instruments: name, unit and meaning.
 *
 * @module
 */

/** Unit, in the notation of UCUM as OpenTelemetry uses it: seconds, bytes, or what is counted. */
export type Unit = "s" | "By" | "1" | `{${string}}`;

/** Definition of an instrument. */
export interface Definition {
  /** Kind of the instrument. */
  readonly kind: "counter" | "gauge" | "histogram" | "info";
  /** Name, with dots, as OpenTelemetry has it. */
  readonly name: string;
  /** Unit of the value. */
  readonly unit: Unit;
  /** Meaning, in Markdown. */
  readonly doc: string;
  /** Name of the label; `null` without one. */
  readonly label: string | null;
  /** All values of the label: no label is unbounded. For facts, the names of the labels. */
  readonly labels: readonly string[];
  /** Upper bounds of a histogram. */
  readonly bounds: readonly number[];
  /** Operation by which the values of several isolates become one. */
  readonly across: "sum" | "max";
}

/** Definition of a counter with a label. */
export interface CounterDefinition<Label extends string> extends Definition {
  /** Kind of the instrument. */
  readonly kind: "counter";
  /** All values of the label; none without one. */
  readonly labels: readonly Label[];
}

/** Definition of a histogram. */
export interface HistogramDefinition extends Definition {
  /** Kind of the instrument. */
  readonly kind: "histogram";
}

/** Definition of a gauge. */
export interface GaugeDefinition extends Definition {
  /** Kind of the instrument. */
  readonly kind: "gauge";
}

/** Definition of facts. */
export interface InfoDefinition extends Definition {
  /** Kind of the instrument. */
  readonly kind: "info";
}

/** Unit and meaning, which every definition states. */
export interface Meaning {
  /** Unit of the value. */
  unit: Unit;
  /** Meaning, in Markdown. */
  doc: string;
}

const PLAIN = { label: null, labels: [], bounds: [], across: "sum" } as const;

/** Defines a counter without a label. */
export function counter(name: string, meaning: Meaning): CounterDefinition<never> {
  return { ...PLAIN, ...meaning, kind: "counter", name };
}

/** Defines a counter with a label. */
export function counters<const Label extends string>(
  name: string,
  { label, labels, ...meaning }: Meaning & { label: string; labels: readonly Label[] },
): CounterDefinition<Label> {
  return { ...PLAIN, ...meaning, kind: "counter", name, label, labels };
}

/** Defines a gauge. */
export function gauge(
  name: string,
  { across = "sum", ...meaning }: Meaning & { across?: "sum" | "max" },
): GaugeDefinition {
  return { ...PLAIN, ...meaning, kind: "gauge", name, across };
}

/** Defines a histogram. */
export function histogram(
  name: string,
  { bounds, ...meaning }: Meaning & { bounds: readonly number[] },
): HistogramDefinition {
  return { ...PLAIN, ...meaning, kind: "histogram", name, bounds };
}

/** Defines facts about the process. */
export function info(
  name: string,
  { labels, doc }: { labels: readonly string[]; doc: string },
): InfoDefinition {
  return { ...PLAIN, kind: "info", name, unit: "1", doc, labels, across: "max" };
}
