/* @ts-self-types="../../client/shared_connection.ts" */
// @ts-nocheck: built from lib/client/shared_connection.ts by "deno task build".

import { systemClock } from "./system_clock.js";
import { SharedBody } from "./shared_body.js";
import { SharedLink } from "./shared_link.js";

import { subscribe } from "./subscribe.js";

const RESUME_MS = 500;

const TURN_MS = 2_000;

const SETTLE_MS = 500;

const TURNS = 2;

const AGAIN_MS = 5_000;

const MAX_LOSSES = 5;

const FORGET_MS = 10 * 60_000;

const STREAM_HEADERS = { "Content-Type": "text/event-stream" };

const COOKIE = "Its cookie may be of another user than those of other tabs; `share` names the user";

const ALONE = "No other tab shares this stream yet";

const HIDDEN = "The page is hidden";

export class SharedConnection {
  closed;
  #options;
  #platform;
  #clock;
  #url;
  #pipelines;
  #inner;
  #link = null;
  #body = null;
  #joins = 0;
  #isJoined = false;
  #answer = null;
  #token;
  #taken = { count: 0, length: 0 };
  #isAcknowledging = false;
  #isHurried = false;
  #isShared = false;
  #isHidden = false;
  #apart;
  #canShare;
  #hasEnds = false;
  #losses = 0;
  #lostAt = 0;

  constructor(
    url,
    options,
    platform,
    obstacle,
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

  get lastEventId() {
    return this.#inner.lastEventId;
  }

  get lastReceivedAt() {
    return this.#inner.lastReceivedAt;
  }

  get state() {
    const isShared = this.#isShared;
    return { ...this.#inner.state, isShared, apart: isShared ? "" : this.#apart };
  }

  retryNow() {
    this.#link?.post({ type: "retry" });
    this.#inner.retryNow();
  }

  close() {
    this.#inner.close();
  }

  [Symbol.asyncIterator]() {
    // A loop that ends has been told of the error.
    this.closed.catch(() => {});
    return this.#inner[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose]() {
    await this.#inner[Symbol.asyncDispose]();
  }

  handleEvent({ type }) {
    this.#isHidden = type === "pagehide";
    if (!this.#isHidden) return this.#inner.retryNow();
    if (!this.#canShare) return;
    // A page with a lock or a port is not kept in memory for the user to come back to.
    this.#closeLink();
    this.#body?.cut(HIDDEN);
  }

  #end() {
    this.#canShare = false;
    this.#closeLink();
    const { page } = this.#platform;
    for (const type of ["pagehide", "pageshow"]) page.removeEventListener?.(type, this);
  }

  #tell() {
    // Before the constructor has it.
    if (!this.#inner) return;
    const { state } = this;
    if (state.name === "waiting" && this.#isHurried) {
      this.#isHurried = false;
      queueMicrotask(() => this.#inner.retryNow());
    }
    this.#options.onState?.(state);
  }

  #setShared(isShared) {
    if (isShared === this.#isShared) return;
    this.#isShared = isShared;
    this.#tell();
  }

  #setApart(reason) {
    if (reason === this.#apart) return;
    this.#apart = reason;
    if (!this.#isShared) this.#tell();
  }

  #fetch = async (url, init) => {
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

  #isByCookie({ headers }) {
    return this.#options.share === undefined && /\bcookie\b/i.test(headers.get("Vary") ?? "");
  }

  #stayApart(reason) {
    this.#canShare = false;
    this.#closeLink();
    this.#setApart(reason);
  }

  #resume(lastEventId) {
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

  #takeTurn() {
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
      this.#platform.locks.request(name, { signal }, () => {
        go();
        return new Promise((done) => release = done);
      }).catch(go);
    });
  }

  #createBody(
    lastEventId,
    own,
    endTurn,
  ) {
    const body = new SharedBody({
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

  #openLink() {
    if (this.#link || !this.#canShare) return;
    const { createWorker, locks, createName } = this.#platform;
    this.#link = new SharedLink({
      createWorker,
      locks: locks,
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

  #closeLink() {
    this.#link?.close();
    this.#link = null;
    this.#isJoined = false;
  }

  #loseLink(reason, isPermanent) {
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

  #take(message) {
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

  #hurry() {
    if (this.#inner.state.name === "waiting") this.#inner.retryNow();
    else this.#isHurried = !this.#isShared;
  }

  #announce() {
    if (this.#body?.isApart) this.#join(this.#body, true);
  }

  #join(body, hasStream) {
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

  #leave() {
    if (this.#isJoined) this.#link?.post({ type: "leave" });
    this.#isJoined = false;
    // What is on its way is for nobody.
    this.#joins++;
  }

  #retreat() {
    this.#leave();
    this.#clock.after(AGAIN_MS, () => this.#announce());
  }

  #acknowledge(length) {
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
