/**
 * The connection of a subscription, which comes back from everything that is transient.
 *
 * @module
 */

import { Attempt } from "./attempt.ts";
import { BackOff } from "./back_off.ts";
import { callBack } from "./call_back.ts";
import { readEvent } from "./client_event.ts";
import { Credentials } from "./credentials.ts";
import { SubscribeError } from "./errors.ts";
import { StreamParser } from "./stream_parser.ts";
import { assertValid, requestHeaders, streamUrl, takeAnswer, withQuery } from "./request.ts";
import { resumeStore } from "./resume_store.ts";
import { systemClock } from "./system_clock.ts";
import { STALL_MS, Transport } from "./transport.ts";
import type { ClientEvent } from "./event_types.ts";
import type { ClientClock, SubscribeOptions } from "./subscribe_options.ts";
import type { ConnectionState, StateDetails, Subscription } from "./subscription.ts";

/** A subscription and its connection, of which there is one at a time. */
export class Connection implements Subscription {
  readonly closed: Promise<void>;
  lastEventId: string;
  lastReceivedAt: number | null = null;
  state: ConnectionState = { name: "connecting", transport: "stream" };
  /** All events, read no further than they are taken. */
  readonly events: AsyncGenerator<ClientEvent, void>;
  readonly #options: SubscribeOptions;
  readonly #pipelines: readonly string[];
  readonly #url: URL;
  readonly #clock: ClientClock;
  readonly #backOff: BackOff;
  readonly #credentials: Credentials;
  readonly #stallMs: number;
  readonly #transport = new Transport();
  /** Pipelines that are live or have ended, on this connection or the polls before it. */
  readonly #live = new Set<string>();
  readonly #ended = new Set<string>();
  readonly close = (): void => this.#end("closed");
  #attempt: Attempt | undefined;
  /** Ends the wait for the next attempt. Of a wait that is over, there is nothing to end. */
  #skipWait = () => {};
  #isClosed = false;
  #settle!: (error: SubscribeError | undefined) => void;

  /** Validates the options. Nothing is requested before the first event is. */
  constructor(url: string | URL, options: SubscribeOptions) {
    this.#options = options;
    this.#pipelines = [options?.pipelines].flat();
    this.#url = streamUrl(url, this.#pipelines);
    const { since, stallMs = STALL_MS } = options;
    assertValid(`${since}` !== "Invalid Date" && stallMs > 0, "a valid since and stallMs");
    this.#clock = options.clock ?? systemClock;
    this.#backOff = new BackOff(options.random ?? Math.random);
    this.#credentials = new Credentials(options);
    this.#stallMs = stallMs;
    this.lastEventId = options.lastEventId || resumeStore(options);
    this.closed = new Promise((resolve, reject) => {
      this.#settle = (error) => error ? reject(error) : resolve();
    });
    this.events = this.#run();
    options.signal?.addEventListener("abort", this.close);
    if (options.signal?.aborted) this.close();
  }

  retryNow(): void {
    this.#backOff.reset();
    this.#skipWait();
  }

  [Symbol.asyncIterator](): AsyncIterator<ClientEvent> {
    // A loop that ends has been told of the error.
    this.closed.catch(() => {});
    return {
      next: () => this.events.next(),
      return: () => {
        this.close();
        return this.events.return();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Called when the network or the page is back: an attempt may succeed now. */
  readonly #onWake = ({ type }: Event) => {
    if (type === "online") this.#transport.tryStream();
    if (this.#transport.name === "stream") this.#attempt?.check(this.#stallMs / 2);
    this.retryNow();
  };

  #listen(method: "addEventListener" | "removeEventListener"): void {
    // The second one bubbles from the document to the window.
    for (const type of ["online", "visibilitychange"]) globalThis[method]?.(type, this.#onWake);
  }

  /** Ends the subscription, once. */
  #end(name: "ended" | "closed", error?: SubscribeError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.signal?.removeEventListener("abort", this.close);
    this.#listen("removeEventListener");
    this.#attempt?.end();
    this.#skipWait();
    this.#setState(
      error ? { name: "refused", reason: error.message, status: error.status } : { name },
    );
    this.#settle(error);
    // Lets go of the connection also if nobody takes another event.
    void this.events.return();
  }

  #setState(details: StateDetails): void {
    const { name: transport } = this.#transport;
    const { name, transport: before } = this.state;
    if (details.name === name && transport === before && !details.ms) return;
    this.state = { ...details, transport } as ConnectionState;
    void callBack(this.#options.onState, this.state);
  }

  async *#run(): AsyncGenerator<ClientEvent, void> {
    this.#listen("addEventListener");
    void callBack(this.#options.onState, this.state);
    while (!this.#isClosed) {
      this.#transport.choose(this.#clock.now());
      const attempt = this.#attempt = new Attempt(this.#clock);
      let failure: unknown = "The stream ended";
      try {
        yield* this.#connect(attempt);
      } catch (error) {
        failure = error;
      } finally {
        attempt.end();
      }
      if (this.#isClosed) return;
      if (!(failure instanceof SubscribeError)) await this.#pause(attempt, failure);
      else if (!this.#credentials.refused(failure.status)) {
        this.#end("closed", failure);
        throw failure;
      }
    }
  }

  /** Opens one connection, and yields its events. */
  async *#connect(attempt: Attempt): AsyncGenerator<ClientEvent, void> {
    const { name, beginningMs, waitSeconds } = this.#transport;
    if (name === "stream") this.#live.clear();
    // The service asks for another pace of polls.
    if (name !== this.state.transport) this.#backOff.setRetry();
    this.#setBeginning("connecting");
    // A user may be asked for it: without a limit of time.
    await attempt.wait(this.#credentials.renew(this.lastEventId));
    attempt.limitMs = beginningMs;
    const wait = name === "poll" ? waitSeconds : null;
    const url = withQuery(this.#credentials.url ?? this.#url, this.#options, wait);
    const { fetch = globalThis.fetch } = this.#options;
    const headers = requestHeaders(this.#credentials.token, this.lastEventId);
    const { signal } = attempt;
    const response = await attempt.wait(fetch(url, { headers, signal, cache: "no-store" }));
    const body = await attempt.wait(takeAnswer(response, this.#clock.now()));
    this.#credentials.wasRefused = false;
    if (!body) return this.#end("ended");
    attempt.reader = body.getReader();
    this.#setBeginning("catching-up");
    // A ticket may be for a stream of several pipelines, even if there is only one.
    const pipeline = /\/pipelines\/[^/]+\/sse$/.test(url.pathname) ? this.#pipelines[0]! : null;
    const parser = new StreamParser(this.lastEventId);
    for (let piece; (piece = await attempt.read());) {
      this.lastReceivedAt = this.#clock.now();
      // Also without the markers of pipelines that have nothing more to send.
      if (attempt.flowed) this.#setState({ name: "live" });
      const blocks = parser.push(piece);
      if (parser.retryMs !== null) this.#backOff.setRetry(parser.retryMs);
      for (const block of blocks) {
        this.lastEventId = block.id;
        const event = readEvent(block, pipeline);
        if (event?.type === "expired") this.#credentials.reason = event.reason;
        else if (event) {
          // Also before the marker: a long history may take several connections.
          this.#backOff.reset();
          if (this.#take(event, attempt)) yield event;
          if (this.#isClosed) return;
        }
        resumeStore(this.#options, block.id);
        if (this.#ended.size === this.#pipelines.length) return this.#end("ended");
      }
    }
  }

  /** Takes note of an event. Returns whether it is news: each poll ends with a marker. */
  #take({ type, pipeline }: ClientEvent, attempt: Attempt): boolean {
    const isNews = type !== "live" || !this.#live.has(pipeline);
    if (type === "gap") {
      this.#live.delete(pipeline);
      // One whose run has ended may have been made anew.
      this.#ended.delete(pipeline);
    } else if (type !== "event") {
      this.#live.add(pipeline);
      if (type === "end") this.#ended.add(pipeline);
      attempt.live(this.#stallMs);
    }
    if (this.#live.size === this.#pipelines.length) this.#setState({ name: "live" });
    return isNews;
  }

  /** Sets a state before the first marker: later polls go on as if they were one stream. */
  #setBeginning(name: "connecting" | "catching-up"): void {
    if (!this.#live.size) this.#setState({ name });
  }

  /** Waits for the next attempt, if it does not follow at once. */
  async #pause(attempt: Attempt, failure: unknown): Promise<void> {
    const { name } = this.#transport;
    if (this.#transport.ended(attempt, this.#clock.now())) return;
    const { message, retryAfterMs } = failure as { message?: string; retryAfterMs?: number };
    const ms = this.#backOff.next(retryAfterMs);
    let cancelTimer!: () => void;
    await new Promise<void>((resolve) => {
      this.#skipWait = resolve;
      cancelTimer = this.#clock.after(ms, resolve);
      // Its callback may end the wait, or the subscription.
      if (name === "poll" && attempt.wasLive && attempt.isClean) this.#setState({ name: "live" });
      else {
        this.#live.clear();
        this.#setState({ name: "waiting", ms, reason: `${message ?? failure}` });
      }
    });
    cancelTimer();
  }
}
