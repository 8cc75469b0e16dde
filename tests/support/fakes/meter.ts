/**
 * A meter of OpenTelemetry that keeps what it is told.
 *
 * @module
 */

import type { Attributes, Meter, MetricOptions, ObservableCallback } from "@opentelemetry/api";

/** Definition of an instrument, as the meter gets it. */
interface Instrument {
  name: string;
  unit: string | undefined;
  description: string | undefined;
}

/** The meter. */
export class RecordingMeter implements Pick<Meter, "createHistogram"> {
  readonly instruments: Instrument[] = [];
  /** Values of histograms. */
  readonly recorded: [string, number, Attributes | undefined][] = [];
  readonly #callbacks = new Map<string, ObservableCallback[]>();

  createHistogram(name: string, options?: MetricOptions) {
    this.#define(name, options);
    return {
      record: (value: number, attributes?: Attributes) => {
        this.recorded.push([name, value, attributes]);
      },
    };
  }

  createObservableCounter = (name: string, options?: MetricOptions) => this.#observe(name, options);
  createObservableGauge = (name: string, options?: MetricOptions) => this.#observe(name, options);

  #observe(name: string, options?: MetricOptions) {
    this.#define(name, options);
    const callbacks: ObservableCallback[] = [];
    this.#callbacks.set(name, callbacks);
    return {
      addCallback: (callback: ObservableCallback) => void callbacks.push(callback),
      removeCallback() {},
    };
  }

  #define(name: string, { unit, description }: MetricOptions = {}): void {
    this.instruments.push({ name, unit, description });
  }

  /** Returns all observed numbers by name and attributes. */
  collect(): Map<string, number> {
    const observed = new Map<string, number>();
    for (const [name, callbacks] of this.#callbacks) {
      for (const callback of callbacks) {
        callback({
          observe(value, attributes) {
            observed.set(`${name} ${JSON.stringify(attributes)}`, value);
          },
        });
      }
    }
    return observed;
  }

  createGauge = unused;
  createCounter = unused;
  createUpDownCounter = unused;
  createObservableUpDownCounter = unused;
  addBatchObservableCallback = unused;
  removeBatchObservableCallback = unused;
}

function unused(): never {
  throw new Error("The service has no such instrument");
}
