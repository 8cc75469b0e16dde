/**
 * A service that a test plays, answer by answer, for the client of `lib/client`.
 *
 * @module
 */

import {
  type ClientClock,
  type ClientEvent,
  type ConnectionState,
  subscribe,
  type SubscribeOptions,
  type Subscription,
} from "../../../lib/client/mod.ts";
import { FakeClock } from "../fakes/clock.ts";
import { flush } from "../wait.ts";

const encoder = new TextEncoder();

/** Returns a clock of the client that goes by a fake clock. */
export function clientClock(clock: FakeClock): ClientClock {
  return {
    now: () => clock.now(),
    after(ms, run) {
      const timer = clock.after(ms, run);
      return () => timer[Symbol.dispose]();
    },
  };
}

/** A request of the client that waits for its answer, or has one. */
export class ScriptedRequest {
  readonly url: URL;
  readonly headers: Headers;
  readonly signal: AbortSignal;
  /** Whether the client has let go of the answer. */
  isCanceled = false;
  readonly #answer: (response: Response) => void;
  readonly #fail: (error: unknown) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** The answer. */
  readonly response: Promise<Response>;

  constructor(url: URL, { headers, signal }: RequestInit) {
    this.url = url;
    this.headers = new Headers(headers);
    this.signal = signal!;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#answer = resolve;
    this.#fail = reject;
    signal!.addEventListener("abort", () => reject(signal!.reason));
  }

  /** The last event ID that it was sent with. */
  get lastEventId(): string | null {
    return this.headers.get("Last-Event-ID");
  }

  /** Answers at once. */
  answer(response: Response): void {
    this.#answer(response);
  }

  /** Fails as a network does. */
  fail(message: string = "network down"): void {
    if (this.#controller) this.#controller.error(new TypeError(message));
    else this.#fail(new TypeError(message));
  }

  /** Answers with an event stream that stays open, and sends a part of it. */
  send(...texts: string[]): void {
    if (!this.#controller) {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => void (this.#controller = controller),
        cancel: () => void (this.isCanceled = true),
      });
      this.#answer(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
    }
    for (const text of texts) this.#controller!.enqueue(encoder.encode(text));
  }

  /** Ends the stream. */
  end(...texts: string[]): void {
    this.send(...texts);
    this.#controller!.close();
  }
}

/** The service: all requests of the client, in order. */
export class ScriptedService {
  readonly requests: ScriptedRequest[] = [];
  readonly #waiting: ((request: ScriptedRequest) => void)[] = [];
  #taken = 0;

  /** The function that makes the requests. */
  readonly fetch = (url: URL, init: RequestInit): Promise<Response> => {
    const request = new ScriptedRequest(url, init);
    this.requests.push(request);
    this.#waiting.shift()?.(request);
    return request.response;
  };

  /** Number of requests that no test has taken. */
  get untaken(): number {
    return this.requests.length - this.#taken;
  }

  /** Returns the next request, once there is one. */
  next(): Promise<ScriptedRequest> {
    const request = this.requests[this.#taken++];
    if (request) return Promise.resolve(request);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Returns a block of an event stream: an event of a channel. */
export function block(type: string, payload: unknown, id: string): string {
  return `event: ${type}\ndata: ${JSON.stringify(payload)}\nid: ${id}\n\n`;
}

/** Returns the marker between history and new events. */
export function live(id: string, replayed = 0): string {
  return block("runnel.live", { replayed }, id);
}

/** Collects what a subscription yields, until it ends. */
export class Collected {
  readonly events: ClientEvent[] = [];
  /** The error that it ended with, or `null`. */
  error: unknown = null;
  isOver = false;

  constructor(subscription: Subscription) {
    void this.#collect(subscription);
  }

  async #collect(subscription: Subscription): Promise<void> {
    try {
      for await (const event of subscription) this.events.push(event);
    } catch (error) {
      this.error = error;
    }
    this.isOver = true;
  }

  /** The payloads of all events so far. */
  get payloads(): unknown[] {
    return this.events.flatMap((event) => event.type === "event" ? [event.payload] : []);
  }

  /** Resolves when there are so many events. */
  async until(count: number): Promise<void> {
    while (this.events.length < count && !this.isOver) await flush();
  }
}

/** A subscription whose service and clock a test plays. */
export interface ScriptedSubscription {
  clock: FakeClock;
  service: ScriptedService;
  subscription: Subscription;
  /** All states of its connection, in order. */
  states: ConnectionState[];
}

/** Subscribes to the pipeline `p_a` of a service that the test plays. */
export function startScripted(options: Partial<SubscribeOptions> = {}): ScriptedSubscription {
  const clock = new FakeClock();
  const service = new ScriptedService();
  const states: ConnectionState[] = [];
  const subscription = subscribe("http://localhost:8000", {
    pipelines: "p_a",
    fetch: service.fetch,
    clock: clientClock(clock),
    random: () => 0.5,
    onState: (state) => void states.push(state),
    ...options,
  });
  return { clock, service, subscription, states };
}
