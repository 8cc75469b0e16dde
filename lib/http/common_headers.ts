/**
 * Headers that all responses have, errors included: those of CORS, and those that keep
 * browsers from guessing and storing.
 *
 * @see {@link https://fetch.spec.whatwg.org/#http-cors-protocol}
 * @module
 */

import type { Config } from "../config/mod.ts";
import { REQUEST_ID_HEADER } from "./request_ids.ts";

/** Headers of a response that does not set them itself. */
const DEFAULTS = {
  "X-Content-Type-Options": "nosniff",
  // Any page may load it, which the CORS headers restrict where they should.
  "Cross-Origin-Resource-Policy": "cross-origin",
  "Cache-Control": "no-store",
} as const;

/** Response headers that pages of other origins may read, besides those that all may. */
const EXPOSED = {
  "Access-Control-Expose-Headers":
    `Retry-After,Idempotency-Replayed,Last-Event-ID,Link,${REQUEST_ID_HEADER}`,
} as const;

/** Request headers that pages of other origins may send: used here, or added by common libraries. */
const ALLOWED_HEADERS = [
  "Authorization",
  "Content-Type",
  "Idempotency-Key",
  "Last-Event-ID",
  // Polyfills of EventSource, and request libraries.
  "Cache-Control",
  "X-Requested-With",
  // Tracing: W3C Trace Context, W3C Baggage, Sentry.
  "traceparent",
  "tracestate",
  "baggage",
  "sentry-trace",
] as const;

const ANY_ORIGIN = { "Access-Control-Allow-Origin": "*", ...EXPOSED } as const;

/** Status and headers of a response, besides those that all have. */
export interface ResponseInit {
  /** HTTP status. */
  status: number;
  /** Headers. None of them is one of CORS. */
  headers: Record<string, string>;
}

/** A response that has them since it was created. A `WeakSet` took 2 of 50 µs of a publish. */
class CompleteResponse extends Response {}

/** Gives responses the headers that all have. */
export class CommonHeaders {
  readonly #allowOrigins: Config["allowOrigins"];
  readonly #draining: AbortSignal;

  /**
   * @param config The origins whose pages may use the service.
   * @param draining Aborted when the drain begins: clients leave their connections then.
   */
  constructor({ allowOrigins }: Pick<Config, "allowOrigins">, draining: AbortSignal) {
    this.#allowOrigins = allowOrigins;
    this.#draining = draining;
  }

  /**
   * Creates a response that has them from the start, and that no cache may use again. The
   * runtime sends one whose headers were not touched since in half the time, which is 6 of
   * 40 µs of a publish.
   *
   * Those of CORS are only for requests with an origin, which a browser sends with each one
   * whose response it keeps from pages. Each header takes more than 1 of 60 µs of a publish.
   *
   * @param id ID of the request.
   */
  create(
    request: Request,
    id: string,
    body: BodyInit,
    { status, headers }: ResponseInit,
  ): Response {
    const all: Record<string, string> = {
      ...DEFAULTS,
      [REQUEST_ID_HEADER]: id,
      ...request.headers.get("Origin") !== null && this.#cors(request),
      ...headers,
    };
    if (this.#allowOrigins !== "*") all["Vary"] = all["Vary"] ? `${all["Vary"]}, Origin` : "Origin";
    if (this.#draining.aborted) all["Connection"] = "close";
    return new CompleteResponse(body, { status, headers: all });
  }

  /** Creates the response to a preflight, without them. */
  preflight(): Response {
    return new Response(null, {
      status: 204,
      headers: {
        "Access-Control-Allow-Methods": "GET,HEAD,POST,DELETE",
        "Access-Control-Allow-Headers": ALLOWED_HEADERS.join(","),
        "Access-Control-Max-Age": "86400",
        "Vary": "Access-Control-Request-Headers",
      },
    });
  }

  /**
   * Adds them to a response that does not have them yet.
   *
   * @param id ID of the request.
   */
  addTo(response: Response, request: Request, id: string): void {
    if (response instanceof CompleteResponse) return;
    const { headers } = response;
    headers.set(REQUEST_ID_HEADER, id);
    // Over HTTP/1.1, so that a client leaves its connection before it is closed. A
    // request that is sent at that moment would get a reset instead of an answer.
    if (this.#draining.aborted && !headers.has("Connection")) headers.set("Connection", "close");
    for (const [name, value] of Object.entries(DEFAULTS)) {
      if (!headers.has(name)) headers.set(name, value);
    }
    const cors = this.#cors(request);
    for (const [name, value] of Object.entries(cors)) headers.set(name, value);
    if (this.#allowOrigins !== "*") headers.append("Vary", "Origin");
  }

  /** Returns the headers by which the page that sent a request may read the response. */
  #cors(request: Request): Record<string, string> {
    // Without credentials: otherwise every page could use the cookie.
    if (this.#allowOrigins === "*") return ANY_ORIGIN;
    const origin = request.headers.get("Origin");
    const isAllowed = origin !== null && this.#allowOrigins.includes(origin);
    return {
      ...EXPOSED,
      ...isAllowed && { "Access-Control-Allow-Origin": origin },
      // Every sandboxed page and file has the origin "null", by any author.
      ...origin !== "null" && { "Access-Control-Allow-Credentials": "true" },
    };
  }
}
