// @ts-check
/**
 * The event stream of a page, by the client of the service.
 *
 * @module
 */

import { Refusal } from "../shared/refusal.js";
import { SubscribeError } from "./mod.js";
import { subscribe } from "./shared.js";

/** @typedef {import("./mod.js").ClientEvent} ClientEvent */
/** @typedef {import("./mod.js").PublishedEvent} PublishedEvent */
/** @typedef {import("./shared.js").SharedState} SharedState */

/**
 * State of a stream: that of the connection, or that it waits for another tab.
 *
 * @typedef {import("./mod.js").ConnectionState | { name: "needs-slot" }} StreamState
 */

/**
 * The part of the client that a stream uses.
 *
 * @typedef {Pick<import("./pipeline_client.js").PipelineClient,
 *   "pipeline" | "token" | "needsTicket" | "renewToken" | "requestTicket">} StreamClient
 */

/**
 * Options for {@linkcode PipelineStream}.
 *
 * @typedef {object} PipelineStreamOptions
 * @property {StreamClient} client Client of the pipeline, which has the token.
 * @property {string} origin Origin of the service.
 * @property {string} [lastEventId] Event ID to start after; without one, it starts with the history.
 * @property {(event: ClientEvent) => void} onEvent Called with each event, the control events among
 *   them.
 * @property {(state: StreamState) => void} onState Called with each new state.
 * @property {(onWait: () => void) => Promise<() => void>} holdSlot Waits until the page may open a
 *   stream of its own; resolves with a function that lets another page do so.
 * @property {typeof subscribe} [subscribe] Opens a subscription.
 */

/**
 * The stream of a pipeline, until its run has ended. Tabs with the same token share it. If the
 * token gets only tickets, each opens a stream of its own.
 */
export class PipelineStream {
  #options;
  /** Event ID to continue after. */
  lastEventId = "";
  /** Number of times that the stream was opened again. */
  reconnects = 0;
  #opened = 0;
  #usesTickets = false;
  #isClosed = false;
  /** @type {import("./shared.js").SharedSubscription | null} */
  #subscription = null;
  #releaseSlot = () => {};
  #leaveRefusal = () => {};

  /** @param {PipelineStreamOptions} options */
  constructor(options) {
    this.#options = { subscribe, ...options };
    this.lastEventId = options.lastEventId ?? "";
  }

  /**
   * Opens the stream and keeps it open until its run has ended, or {@linkcode PipelineStream.close}
   * is called.
   */
  async run() {
    const { holdSlot, onState } = this.#options;
    this.#releaseSlot = await holdSlot(() => onState({ name: "needs-slot" }));
    while (!this.#isClosed) {
      try {
        await this.#subscribe();
        break;
      } catch (error) {
        if (this.#isClosed || !(error instanceof SubscribeError)) break;
        if (error.status === 403 && this.#options.client.needsTicket && !this.#usesTickets) {
          this.#usesTickets = true;
          continue;
        }
        const { status, message, detail } = error;
        onState({ name: "refused", reason: detail || message, status, transport: "stream" });
        await new Promise((resolve) => this.#leaveRefusal = () => resolve(undefined));
      }
    }
    this.#releaseSlot();
  }

  /** When anything arrived last, in milliseconds since 1970. @returns {number | null} */
  get lastReceivedAt() {
    return this.#subscription?.lastReceivedAt ?? null;
  }

  /** Skips the wait for the next attempt, also after a refusal. */
  retryNow() {
    this.#subscription?.retryNow();
    this.#leaveRefusal();
  }

  /** Ends the stream permanently. */
  close() {
    this.#isClosed = true;
    this.#subscription?.close();
    this.#leaveRefusal();
  }

  /** Subscribes once, until the end or a refusal. */
  async #subscribe() {
    const { client, origin, subscribe } = this.#options;
    this.#usesTickets ||= client.needsTicket;
    const onEvent = (/** @type {ClientEvent} */ event) => this.#take(event);
    this.#subscription = subscribe(origin, {
      pipelines: client.pipeline,
      lastEventId: this.lastEventId,
      ...this.#usesTickets ? { getUrl: () => asked(client.requestTicket()) } : {
        getToken: ({ reason }) => reason === "start" ? client.token : asked(client.renewToken()),
      },
      onEvent,
      onLive: onEvent,
      onGap: onEvent,
      onEnd: onEvent,
      onState: (state) => this.#setState(state),
    });
    await this.#subscription.closed;
  }

  /** @param {ClientEvent} event */
  #take(event) {
    this.lastEventId = event.id;
    this.#options.onEvent(event);
  }

  /** @param {SharedState} state */
  #setState(state) {
    // A tab begins with a stream of its own, and leaves it for that of all tabs.
    if (state.isShared) this.#releaseSlot();
    if (state.name === "catching-up" && this.#opened++ > 0) this.reconnects++;
    // The reason of a refusal is told with the error.
    if (state.name !== "refused" && !this.#isClosed) this.#options.onState(state);
  }
}

/**
 * Makes a refusal by the user or by the service permanent. After another error, the client asks
 * again.
 *
 * @template T
 * @param {Promise<T>} credential
 */
async function asked(credential) {
  try {
    return await credential;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new SubscribeError(error.message, { detail: error.message });
  }
}
