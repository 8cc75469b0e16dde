/**
 * The subscription of a tab that shares its stream.
 *
 * @module
 */

import type { ClientEvent } from "./event_types.ts";
import { SharedFetch } from "./shared_fetch.ts";
import type { SharedPlatform } from "./shared_platform.ts";
import type { SharedState, SharedSubscribeOptions, SharedSubscription } from "./shared_types.ts";
import { subscribe } from "./subscribe.ts";
import type { Subscription } from "./subscription.ts";
import { systemClock } from "./system_clock.ts";

/** A subscription whose requests are answered by the worker where that is exact. */
export class SharedConnection implements SharedSubscription {
  readonly closed: Promise<void>;
  readonly #options: SharedSubscribeOptions;
  readonly #page: SharedPlatform["page"];
  readonly #fetch: SharedFetch;
  readonly #inner: Subscription;
  /** Whether the next attempt is to follow at once. */
  #isHurried = false;
  #isShared = false;
  /** Reason for which the tab is apart, if it is. */
  #apart = "";

  /** @param obstacle Reason for which the stream cannot be shared; empty if there is none. */
  constructor(
    url: string | URL,
    options: SharedSubscribeOptions,
    platform: SharedPlatform,
    obstacle: string,
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
    this.#fetch.retryNow();
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
    this.#fetch.setHidden(type === "pagehide");
    if (type === "pageshow") this.#inner.retryNow();
  }

  #end(): void {
    this.#fetch.close();
    for (const type of ["pagehide", "pageshow"]) this.#page.removeEventListener?.(type, this);
  }

  #tell(): void {
    // Not before the caller has the subscription.
    if (!this.closed) return;
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

  /** Tries at once: the shared stream is back. */
  #poke(): void {
    if (this.#inner.state.name === "waiting") this.#inner.retryNow();
    else this.#isHurried = !this.#isShared;
  }
}
