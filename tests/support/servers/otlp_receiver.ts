/**
 * A receiver of what the runtime exports by OTLP, as JSON over HTTP.
 *
 * @see {@link https://opentelemetry.io/docs/specs/otlp/}
 * @module
 */

interface Attribute {
  key: string;
  value: { stringValue?: string; doubleValue?: number; intValue?: string };
}

interface Point {
  attributes: Attribute[];
  asInt?: number | string;
  asDouble?: number;
  count?: number | string;
}

interface Metric {
  name: string;
  unit: string;
  sum?: { dataPoints: Point[] };
  gauge?: { dataPoints: Point[] };
  histogram?: { dataPoints: Point[] };
}

interface Scope {
  scope: { name: string };
}

/** A span, as it is exported. */
export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  kind: number;
  attributes: Attribute[];
}

/** The receiver. */
export class OtlpReceiver implements AsyncDisposable {
  /** Spans of the service. */
  readonly spans: Span[] = [];
  /** Units of the metrics of the service, by their names. */
  readonly units = new Map<string, string>();
  /** Isolates that exported metrics; one without a name if there is only one. */
  readonly isolates = new Set<string>();
  /** Newest value of each metric and attributes. */
  readonly #values = new Map<string, Map<string, number>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        this.#receive(await request.json());
        return Response.json({});
      },
    );
  }

  /** Starts it on a free port. */
  static start(): OtlpReceiver {
    return new OtlpReceiver();
  }

  /** Environment of a program that exports to it, soon. */
  get settings(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
      OTEL_BSP_SCHEDULE_DELAY: "50",
    };
  }

  #receive({ resourceMetrics = [], resourceSpans = [] }: {
    resourceMetrics?: { scopeMetrics: (Scope & { metrics: Metric[] })[] }[];
    resourceSpans?: { scopeSpans: (Scope & { spans: Span[] })[] }[];
  }): void {
    for (const { scope, metrics } of resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics)) {
      if (scope.name === "runnel") metrics.forEach((metric) => this.#keep(metric));
    }
    for (const { scope, spans } of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans)) {
      if (scope.name === "runnel") this.spans.push(...spans);
    }
  }

  #keep({ name, unit, sum, gauge, histogram }: Metric): void {
    this.units.set(name, unit);
    const values = this.#values.get(name) ?? new Map<string, number>();
    this.#values.set(name, values);
    for (const { attributes, asInt, asDouble, count } of (sum ?? gauge ?? histogram)!.dataPoints) {
      const named = attributes.map(({ key, value }) => [key, value.stringValue!]).sort();
      this.isolates.add(Object.fromEntries(named)["runnel.isolate"] ?? "");
      values.set(JSON.stringify(named), Number(asInt ?? asDouble ?? count));
    }
  }

  /** Returns the sum of a metric over all isolates; of a histogram, the number of values. */
  sum(name: string, labels: Record<string, string> = {}): number {
    const wanted = Object.entries(labels);
    return [...this.#values.get(name) ?? []].reduce((sum, [key, value]) => {
      const attributes = Object.fromEntries(JSON.parse(key));
      return sum + (wanted.every(([name, label]) => attributes[name] === label) ? value : 0);
    }, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
