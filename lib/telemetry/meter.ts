/**
 * Metrics through the API of OpenTelemetry, for whatever exporter is set: that of the
 * runtime (`OTEL_DENO=true`), or none.
 *
 * @see {@link https://docs.deno.com/runtime/fundamentals/open_telemetry/}
 * @module
 */

import { type Meter, metrics as api, type Observable } from "@opentelemetry/api";
import { ENTRIES, type Metrics } from "./metrics.ts";

/**
 * Lets an exporter read the metrics of this isolate whenever it exports.
 *
 * @param isolate Name of the isolate, if there are several: an exporter sees each by
 *   itself, as an attribute.
 * @param meter Meter of the service. By default, that of the API.
 */
export function exportMetrics(
  metrics: Metrics,
  isolate: string | null,
  meter: Meter = api.getMeter("runnel"),
): void {
  const own = isolate === null ? {} : { "runnel.isolate": isolate };
  for (const [key, definition] of ENTRIES) {
    const { kind, name, unit, doc, label, labels, bounds } = definition;
    const options = { unit, description: doc };
    const value = metrics[key];
    if ("forward" in value) {
      const advice = { explicitBucketBoundaries: [...bounds] };
      const histogram = meter.createHistogram(name, { ...options, advice });
      value.forward((number) => histogram.record(number, own));
      continue;
    }
    const observable: Observable = kind === "counter"
      ? meter.createObservableCounter(name, options)
      : meter.createObservableGauge(name, options);
    observable.addCallback((result) => {
      const facts = kind === "info" ? metrics.info.facts : null;
      value.read()?.forEach((number, index) => {
        const attributes = label === null ? {} : { [label]: labels[index]! };
        result.observe(number, { ...own, ...attributes, ...facts });
      });
    });
  }
}
