/**
 * Metrics as a page of text in the OpenMetrics format.
 *
 * @see {@link https://prometheus.io/docs/specs/om/open_metrics_spec/}
 * @module
 */

import type { Definition } from "./definition.ts";
import { ENTRIES, type Snapshot } from "./metrics.ts";

/** Media type of the page. */
export const CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** A line of the page, as the library takes it. */
interface Sample {
  metricName?: string;
  labels: Record<string, string>;
  value: number;
}

const SUFFIXES: Record<string, string> = { s: "_seconds", By: "_bytes" };

/** Returns the name of an instrument on the page: with underscores, and with its unit. */
export function metricName({ name, unit, kind }: Definition): string {
  const plain = name.replaceAll(".", "_");
  // The format reserves the ending for metrics of another type.
  return kind === "info" ? plain : plain + (SUFFIXES[unit] ?? "");
}

/**
 * Returns the page. Its library is loaded at the first call: it takes 60 ms, and most
 * services are never asked.
 */
export async function formatOpenMetrics({ values, facts }: Snapshot): Promise<string> {
  const { Registry } = (await import("prom-client")).default;
  const registry = new Registry();
  registry.setContentType(CONTENT_TYPE as never);
  for (const [key, definition] of ENTRIES) {
    const numbers = values[key];
    if (!numbers) continue;
    const metric = {
      name: metricName(definition),
      help: definition.doc.replaceAll("`", ""),
      type: definition.kind === "info" ? "gauge" : definition.kind,
      values: samplesOf(definition, numbers, facts),
    };
    // The type of the library asks for one of its own counters. They would have to be
    // filled from other isolates, for which they have no method.
    registry.registerMetric({ ...metric, get: () => metric } as never);
  }
  return await registry.metrics();
}

function samplesOf(
  definition: Definition,
  numbers: readonly number[],
  facts: Snapshot["facts"],
): Sample[] {
  const { kind, label, labels } = definition;
  if (kind === "histogram") return histogramSamples(definition, numbers);
  if (kind === "info") return [{ labels: facts ?? {}, value: 1 }];
  return numbers.map((value, index) => ({
    labels: label === null ? {} : { [label]: labels[index]! },
    value,
  }));
}

function histogramSamples(definition: Definition, numbers: readonly number[]): Sample[] {
  const name = metricName(definition);
  const counts = numbers.slice(0, -1);
  let count = 0;
  const buckets = counts.map((number, index) => {
    const bound = definition.bounds[index] ?? Infinity;
    return {
      metricName: `${name}_bucket`,
      labels: { le: formatBound(bound) },
      value: count += number,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_count`, labels: {}, value: count },
    { metricName: `${name}_sum`, labels: {}, value: numbers.at(-1)! },
  ];
}

/** The notation of the format, in which each bound is a float. */
function formatBound(bound: number): string {
  if (bound === Infinity) return "+Inf";
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}
