/**
 * A service that is only the `fetch` of a workflow, with a clock that the test
 * controls.
 *
 * @module
 */

import type { DeliveryOptions } from "../../../lib/workflow/mod.ts";

/** Result of an attempt: a status, a response, or a network error. */
export type FakeResponse = number | (() => Response) | Error;

/** Request as it arrived. */
export interface ReceivedRequest {
  url: string;
  /** Time since the start, in milliseconds. */
  at: number;
  headers: Headers;
  key: string;
  body: string;
  events: { pipeline: string; channel: string; payload: unknown }[];
}

/** Responds with the answers of its constructor in order, then accepts all requests. */
export class FakeIngest {
  readonly #answers: FakeResponse[];
  readonly #start = Date.UTC(2026, 0, 1);
  #sequence = 0;
  /** Current time, in milliseconds. */
  now = this.#start;
  readonly requests: ReceivedRequest[] = [];
  /** Pauses between attempts, in milliseconds. */
  readonly pauses: number[] = [];

  constructor(...answers: FakeResponse[]) {
    this.#answers = answers;
  }

  /** Options of a delivery to it. Without jitter, each pause has its maximum length. */
  get delivery(): Required<Omit<DeliveryOptions, "maxMs" | "onRetry">> {
    return {
      fetch: async (url, init) => {
        await Promise.resolve();
        return this.#answer(url, init);
      },
      now: () => this.now,
      wait: (ms) => {
        this.pauses.push(ms);
        this.now += ms;
        return Promise.resolve();
      },
      random: () => 1,
    };
  }

  #answer(url: URL, { headers, body }: RequestInit): Response {
    const request = {
      url: url.href,
      at: this.now - this.#start,
      headers: new Headers(headers),
      key: new Headers(headers).get("Idempotency-Key")!,
      body: String(body),
      // A request that ends the run has none.
      events: JSON.parse(String(body) || "[]"),
    };
    this.requests.push(request);
    const answer = this.#answers.shift() ?? 202;
    if (answer instanceof Error) throw answer;
    if (typeof answer === "function") return answer();
    if (answer !== 202) return new Response(null, { status: answer });
    const events = request.events.map(() => ({ id: `E-${++this.#sequence}` }));
    return Response.json({ events }, { status: 202 });
  }
}
