/* @ts-self-types="../../client/shared_connection.ts" */
// @ts-nocheck: built from lib/client/shared_connection.ts by "deno task build".

import { SharedFetch } from "./shared_fetch.js";

import { subscribe } from "./subscribe.js";

import { systemClock } from "./system_clock.js";

export class SharedConnection {
  closed;
  #options;
  #page;
  #fetch;
  #inner;
  #isHurried = false;
  #isShared = false;
  #apart = "";

  constructor(
    url,
    options,
    platform,
    obstacle,
  ) {
    const { share, worker: _worker, ...others } = options;
    this.#options = options;
    this.#page = platform.page;
    this.#inner = subscribe(url, {
      ...others,
      // Not called before the constructor has it.
      fetch: (url, init) => this.#fetch.fetch(url, init),
      onState: () => this.#tell(),
    });
    this.#fetch = new SharedFetch({
      platform,
      clock: platform.clock ?? systemClock,
      url: new URL(url, globalThis.location?.href).href,
      pipelines: [options.pipelines].flat(),
      channels: [options.channels ?? []].flat(),
      share,
      obstacle,
      onShared: (isShared) => this.#setShared(isShared),
      onApart: (reason) => this.#setApart(reason),
      onHurry: () => this.#isHurried = true,
      onPoke: () => this.#poke(),
    });
    this.closed = this.#inner.closed.finally(() => this.#end());
    // As that of the client: a refusal is told by the state.
    if (options.onState) this.closed.catch(() => {});
    for (const type of ["pagehide", "pageshow"]) this.#page.addEventListener?.(type, this);
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
    this.#fetch.retryNow();
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
    this.#fetch.setHidden(type === "pagehide");
    if (type === "pageshow") this.#inner.retryNow();
  }

  #end() {
    this.#fetch.close();
    for (const type of ["pagehide", "pageshow"]) this.#page.removeEventListener?.(type, this);
  }

  #tell() {
    // Not before the caller has the subscription.
    if (!this.closed) return;
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

  #poke() {
    if (this.#inner.state.name === "waiting") this.#inner.retryNow();
    else this.#isHurried = !this.#isShared;
  }
}
