/**
 * A service that answers a request only when the test says so.
 *
 * @module
 */

import type { DeliveryOptions } from "../../../lib/workflow/mod.ts";
import { FakeIngest, type FakeResponse, type ReceivedRequest } from "./ingest.ts";

/** Holds each request until {@linkcode GatedIngest.answer}. */
export class GatedIngest {
  readonly #ingest = new FakeIngest();
  readonly #held: ((response: Response) => void)[] = [];
  #sequence = 0;
  readonly requests: ReceivedRequest[] = [];

  get delivery(): DeliveryOptions {
    const { fetch, ...options } = this.#ingest.delivery;
    return {
      ...options,
      fetch: async (url, init) => {
        await fetch(url, init);
        this.requests.push(this.#ingest.requests.at(-1)!);
        return await new Promise((resolve) => this.#held.push(resolve));
      },
    };
  }

  /** Payloads of each request. */
  get payloads(): unknown[][] {
    return this.requests.map(({ events }) => events.map(({ payload }) => payload));
  }

  /** Answers the oldest request that is held. */
  answer(status: Extract<FakeResponse, number> = 202): void {
    const request = this.requests[this.requests.length - this.#held.length]!;
    const respond = this.#held.shift()!;
    if (status !== 202) return respond(new Response(null, { status }));
    const events = request.events.map(() => ({ id: `E-${++this.#sequence}` }));
    respond(Response.json({ events }, { status: 202 }));
  }
}
