/**
 * The subscription of a tab that shares its stream.
 *
 * @module
 */

import { systemClock } from "./system_clock.ts";
import { SharedBody } from "./shared_body.ts";
import { type LocksLike, SharedLink } from "./shared_link.ts";
import type { WorkerMessage } from "./shared_messages.ts";
import type {
  SharedState,
  SharedSubscribeOptions,
  SharedSubscription,
  SharedWorkerLike,
} from "./shared_types.ts";
import { subscribe } from "./subscribe.ts";
import type { ClientEvent } from "./event_types.ts";
import type { ClientClock } from "./subscribe_options.ts";
import type { Subscription } from "./subscription.ts";

/** Time that the worker has to answer whether a stream continues at a position, in milliseconds. */
const RESUME_MS = 500;

/** Longest wait for the streams of other tabs to catch up, in milliseconds. */
const TURN_MS = 2_000;

/** Time that a live tab has to be fed before the next one catches up, in milliseconds. */
const SETTLE_MS = 500;

/** Number of tabs that catch up at once. A browser has six connections to a host over HTTP/1.1. */
const TURNS = 2;

/** Time until a tab that could not be fed asks again, in milliseconds. */
const AGAIN_MS = 5_000;

/** Number of workers that may end, one soon after the other, before the tab keeps its own stream. */
const MAX_LOSSES = 5;

/** Time after which a worker that has ended is forgotten, in milliseconds. */
const FORGET_MS = 10 * 60_000;

/** Headers of a stream that comes from the worker. */
const STREAM_HEADERS = { "Content-Type": "text/event-stream" };

/** Reason to be apart with a cookie: the worker cannot see whose it is. */
const COOKIE = "Its cookie may be of another user than those of other tabs; `share` names the user";

/** Reason to be apart while nothing is wrong. */
const ALONE = "No other tab shares this stream yet";

/** Reason for which a page that was left has no stream. */
const HIDDEN = "The page is hidden";

/** Parts of the platform. */
export interface SharedPlatform {
  /** Starts the worker, or connects to the one that runs. */
  createWorker: () => SharedWorkerLike;
  /** Locks of the origin; missing if the stream cannot be shared. */
  locks: LocksLike | undefined;
  clock: ClientClock | undefined;
  /** Returns a number from 0 up to 1. */
  random: () => number;
  /** Returns a name that nobody else has. */
  createName: () => string;
  /** Sends a request to the service. */
  fetch: (url: URL, init: RequestInit) => Promise<Response>;
  /** Target of `pagehide` and `pageshow`. */
  page: Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">>;
}

/** A subscription whose requests are answered by the worker where that is exact. */
export class SharedConnection implements SharedSubscription {
  readonly closed: Promise<void>;
  readonly #options: SharedSubscribeOptions;
  readonly #platform: SharedPlatform;
  readonly #clock: ClientClock;
  readonly #url: string;
  readonly #pipelines: readonly string[];
  readonly #inner: Subscription;
  #link: SharedLink | null = null;
  #body: SharedBody | null = null;
  /** Number of the newest message by which the tab has joined. */
  #joins = 0;
  /** Whether the worker has not ended what the tab has joined. */
  #isJoined = false;
  /** Takes the answer of the worker while the tab has no stream of its own. */
  #answer: ((message: WorkerMessage | null) => void) | null = null;
  #token: string | undefined;
  #taken = { count: 0, length: 0 };
  #isAcknowledging = false;
  /** Whether the next attempt is to follow at once. */
  #isHurried = false;
  #isShared = false;
  #isHidden = false;
  /** Reason for which the tab is apart, if it is. */
  #apart: string;
  #canShare: boolean;
  #hasEnds = false;
  #losses = 0;
  #lostAt = 0;

  /** @param obstacle Reason for which the stream cannot be shared; empty if there is none. */
  constructor(
    url: string | URL,
    options: SharedSubscribeOptions,
    platform: SharedPlatform,
    obstacle: string,
  ) {
    this.#options = options;
    this.#platform = platform;
    this.#clock = platform.clock ?? systemClock;
    this.#apart = obstacle || ALONE;
    this.#canShare = obstacle === "";
    this.#pipelines = [options.pipelines].flat();
    const { share: _share, worker: _worker, ...others } = options;
    this.#inner = subscribe(url, { ...others, fetch: this.#fetch, onState: () => this.#tell() });
    this.#url = new URL(url, globalThis.location?.href).href;
    this.closed = this.#inner.closed.finally(() => this.#end());
    // As that of the client: a refusal is told by the state.
    if (options.onState) this.closed.catch(() => {});
    for (const type of ["pagehide", "pageshow"]) platform.page.addEventListener?.(type, this);
  }

  get lastEventId(): string {
    return this.#inner.lastEventId;
  }

  get lastReceivedAt(): number | null {
    return this.#inner.lastReceivedAt;
  }

  get state(): SharedState {
    const isShared = this.#isShared;
    return { ...this.#inner.state, isShared, apart: isShared ? "" : this.#apart };
  }

  retryNow(): void {
    this.#link?.post({ type: "retry" });
    this.#inner.retryNow();
  }

  close(): void {
    this.#inner.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<ClientEvent> {
    // A loop that ends has been told of the error.
    this.closed.catch(() => {});
    return this.#inner[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  /** Takes an event of the page. */
  handleEvent({ type }: Event): void {
    this.#isHidden = type === "pagehide";
    if (!this.#isHidden) return this.#inner.retryNow();
    if (!this.#canShare) return;
    // A page with a lock or a port is not kept in memory for the user to come back to.
    this.#closeLink();
    this.#body?.cut(HIDDEN);
  }

  #end(): void {
    this.#canShare = false;
    this.#closeLink();
    const { page } = this.#platform;
    for (const type of ["pagehide", "pageshow"]) page.removeEventListener?.(type, this);
  }

  #tell(): void {
    // Before the constructor has it.
    if (!this.#inner) return;
    const { state } = this;
    if (state.name === "waiting" && this.#isHurried) {
      this.#isHurried = false;
      queueMicrotask(() => this.#inner.retryNow());
    }
    this.#options.onState?.(state);
  }

  #setShared(isShared: boolean): void {
    if (isShared === this.#isShared) return;
    this.#isShared = isShared;
    this.#tell();
  }

  #setApart(reason: string): void {
    if (reason === this.#apart) return;
    this.#apart = reason;
    if (!this.#isShared) this.#tell();
  }

  readonly #fetch = async (url: URL, init: RequestInit): Promise<Response> => {
    const { fetch } = this.#platform;
    // Each answer to a poll is whole by itself.
    if (!this.#canShare || url.searchParams.has("wait")) return await fetch(url, init);
    // The client tries at once when the visibility changes, also in a page that is being left.
    if (this.#isHidden) throw new Error(HIDDEN);
    const headers = new Headers(init.headers);
    this.#token = headers.get("Authorization")?.replace(/^Bearer /, "");
    const lastEventId = headers.get("Last-Event-ID") ?? "";
    this.#openLink();
    const body = await this.#resume(lastEventId);
    if (body) return new Response(body.stream, { headers: STREAM_HEADERS });
    const endTurn = await this.#takeTurn();
    try {
      const response = await fetch(url, init);
      if (response.status !== 200 || !response.body) {
        endTurn();
        return response;
      }
      if (this.#isByCookie(response)) this.#stayApart(COOKIE);
      const { stream } = this.#createBody(lastEventId, response.body, endTurn);
      return new Response(stream, { headers: response.headers });
    } catch (error) {
      endTurn();
      throw error;
    }
  };

  /** Whether the service has given the tab its answer for a cookie that nobody has named. */
  #isByCookie({ headers }: Response): boolean {
    return this.#options.share === undefined && /\bcookie\b/i.test(headers.get("Vary") ?? "");
  }

  /** Keeps the tab on streams of its own from now on. */
  #stayApart(reason: string): void {
    this.#canShare = false;
    this.#closeLink();
    this.#setApart(reason);
  }

  /** Asks for a feed without a stream of the tab's own. */
  #resume(lastEventId: string): Promise<SharedBody | null> {
    // The service itself tells which runs have ended.
    if (!lastEventId || !this.#link?.isUp || this.#hasEnds) return Promise.resolve(null);
    const body = this.#createBody(lastEventId, null, () => {});
    if (body.positions.size === 0) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(RESUME_MS, () => this.#answer?.(null));
      this.#answer = (message) => {
        this.#answer = null;
        cancel();
        if (message?.type === "feed" && body.begin(message.feed, message.positions)) {
          this.#setShared(true);
          return resolve(body);
        }
        body.cut("Not shared");
        if (message?.type === "down") reject(new Error(message.reason));
        else resolve(null);
      };
      this.#join(body, false);
    });
  }

  /** Waits until few other tabs catch up. @returns A function that lets the next one do so. */
  #takeTurn(): Promise<() => void> {
    const controller = new AbortController();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(TURN_MS, () => controller.abort());
      let release = () => {};
      const go = () => {
        cancel();
        resolve(() => release());
      };
      const name = `runnel-turn-${Math.floor(this.#platform.random() * TURNS)}`;
      const { signal } = controller;
      this.#platform.locks!.request(name, { signal }, () => {
        go();
        return new Promise<void>((done) => release = done);
      }).catch(go);
    });
  }

  #createBody(
    lastEventId: string,
    own: ReadableStream<Uint8Array> | null,
    endTurn: () => void,
  ): SharedBody {
    const body: SharedBody = new SharedBody({
      pipelines: this.#pipelines,
      lastEventId,
      own,
      onLive: () => {
        // The page may have been left meanwhile.
        this.#openLink();
        this.#announce();
        this.#clock.after(SETTLE_MS, endTurn);
      },
      onFed: () => {
        endTurn();
        this.#setShared(true);
      },
      onTaken: (length) => this.#acknowledge(length),
      onHurry: () => this.#isHurried = true,
      onClosed: () => {
        endTurn();
        this.#hasEnds ||= body.openPipelines.length < this.#pipelines.length;
        if (this.#body !== body) return;
        this.#body = null;
        this.#setShared(false);
        this.#leave();
      },
    });
    return this.#body = body;
  }

  #openLink(): void {
    if (this.#link || !this.#canShare) return;
    const { createWorker, locks, createName } = this.#platform;
    this.#link = new SharedLink({
      createWorker,
      locks: locks!,
      clock: this.#clock,
      createName,
      onMessage: (message) => this.#take(message),
      onUp: () => {
        this.#setApart(ALONE);
        this.#announce();
      },
      onDown: (reason, isPermanent) => this.#loseLink(reason, isPermanent),
    });
  }

  #closeLink(): void {
    this.#link?.close();
    this.#link = null;
    this.#isJoined = false;
  }

  #loseLink(reason: string, isPermanent: boolean): void {
    this.#link = null;
    this.#isJoined = false;
    const now = this.#clock.now();
    this.#losses = now - this.#lostAt > FORGET_MS ? 1 : this.#losses + 1;
    this.#lostAt = now;
    this.#canShare &&= !isPermanent && this.#losses <= MAX_LOSSES;
    this.#setApart(reason);
    this.#answer?.(null);
    if (this.#isShared) this.#isHurried = true;
    this.#body?.loseFeed(reason);
    this.#clock.after(AGAIN_MS, () => this.#openLink());
  }

  #take(message: WorkerMessage): void {
    switch (message.type) {
      case "welcome":
        return;
      case "where":
        return this.#announce();
      case "poke":
        return this.#hurry();
      case "alone":
      case "down":
        if (message.join !== this.#joins) return;
        // A tab that waits is poked.
        this.#isJoined = false;
        return this.#answer?.(message);
      case "feed":
        if (message.feed !== this.#joins) return;
        if (this.#answer) return this.#answer(message);
        if (!this.#body?.begin(message.feed, message.positions)) this.#retreat();
        return;
      default:
        if (message.feed !== this.#joins) return;
        if (message.type === "stop") this.#isJoined = false;
        if (this.#body?.take(message)) this.#retreat();
    }
  }

  #hurry(): void {
    if (this.#inner.state.name === "waiting") this.#inner.retryNow();
    else this.#isHurried = !this.#isShared;
  }

  /** Offers to leave the stream of the tab's own. */
  #announce(): void {
    if (this.#body?.isApart) this.#join(this.#body, true);
  }

  #join(body: SharedBody, hasStream: boolean): void {
    if (!this.#link?.isUp) return;
    const { channels = [], share } = this.#options;
    const pipelines = body.openPipelines;
    this.#taken = { count: 0, length: 0 };
    this.#isJoined = true;
    this.#link.post({
      type: "join",
      join: ++this.#joins,
      url: this.#url,
      pipelines,
      channels: [channels].flat(),
      token: this.#token,
      share,
      positions: new Map([...body.positions].filter(([each]) => pipelines.includes(each))),
      hasStream,
    });
  }

  #leave(): void {
    if (this.#isJoined) this.#link?.post({ type: "leave" });
    this.#isJoined = false;
    // What is on its way is for nobody.
    this.#joins++;
  }

  /** Stays on the stream of the tab's own for a while. */
  #retreat(): void {
    this.#leave();
    this.#clock.after(AGAIN_MS, () => this.#announce());
  }

  #acknowledge(length: number): void {
    this.#taken.count++;
    this.#taken.length += length;
    if (this.#isAcknowledging) return;
    this.#isAcknowledging = true;
    queueMicrotask(() => {
      this.#isAcknowledging = false;
      this.#link?.post({ type: "acknowledge", feed: this.#joins, ...this.#taken });
    });
  }
}
