// @ts-check
/**
 * Holds one event stream open, and comes back when it breaks.
 *
 * An `EventSource` hears only the event types that it is told before; this one hears all.
 *
 * @module
 */

import { Refusal } from "../shared/refusal.js";
import { EventStreamParser } from "./event_stream_parser.js";

/** The reconnection time before the service has said its own, in milliseconds. */
const RETRY_MS = 2000;

/** The longest wait between two attempts, in milliseconds. */
const MAX_WAIT_MS = 30_000;

/**
 * How a stream is doing.
 *
 * @typedef {{ name: "connecting" | "catching-up" | "live" } |
 *   { name: "waiting", ms: number } |
 *   { name: "refused", reason: string }} StreamState
 */

/**
 * What a stream works with.
 *
 * @typedef {object} LiveStreamOptions
 * @property {(lastEventId: string) => Promise<Response>} open Opens the stream after an event.
 * @property {string} [lastEventId] The event to begin after.
 * @property {(events: import("./event_stream_parser.js").StreamedEvent[]) => void} onEvents Gets
 *   the events that arrived together.
 * @property {(state: StreamState) => void} onState Hears of each new state.
 * @property {(ms: number, skip: AbortSignal) => Promise<void>} [wait] Waits, unless it is skipped.
 * @property {() => number} [random] From 0 to 1.
 */

/** A stream that comes back. */
export class LiveStream {
  #options;
  /** The ID to come back with. */
  lastEventId = "";
  /** How often it was opened again. */
  reconnects = 0;
  /** When the last bytes came. @type {number | null} */
  lastReceivedAt = null;
  #opened = 0;
  #failures = 0;
  #retryMs = RETRY_MS;
  #skip = new AbortController();
  #isClosed = false;
  /** @type {ReadableStreamDefaultReader<string> | null} */
  #reader = null;

  /** @param {LiveStreamOptions} options What it works with. */
  constructor(options) {
    this.#options = { wait: delay, random: Math.random, ...options };
    this.lastEventId = options.lastEventId ?? "";
  }

  /** Opens the stream and keeps it open until it is closed. */
  async run() {
    const { onState } = this.#options;
    while (!this.#isClosed) {
      this.#skip = new AbortController();
      try {
        onState({ name: "connecting" });
        await this.#read(await this.#options.open(this.lastEventId));
      } catch (error) {
        if (error instanceof Refusal) {
          onState({ name: "refused", reason: error.message });
          await new Promise((resolve) => this.#skip.signal.addEventListener("abort", resolve));
          continue;
        }
        // Whatever else it is, the network's or the service's, may pass.
      }
      if (this.#isClosed) break;
      // The service spreads those who come back; only failures are spread here.
      const spread = this.#failures === 0 ? 1 : 1 + this.#options.random();
      const ms = Math.min(MAX_WAIT_MS, this.#retryMs * 2 ** this.#failures++ * spread);
      onState({ name: "waiting", ms });
      await this.#options.wait(ms, this.#skip.signal);
    }
  }

  /** Tries again at once, if it waits. */
  retryNow() {
    this.#failures = 0;
    this.#skip.abort();
  }

  /** Ends it for good. */
  close() {
    this.#isClosed = true;
    this.#skip.abort();
    this.#reader?.cancel().catch(() => {});
  }

  /** @param {Response} response */
  async #read(response) {
    if (this.#opened++ > 0) this.reconnects++;
    this.#options.onState({ name: "catching-up" });
    const parser = new EventStreamParser(this.lastEventId);
    const decoder = new TextDecoderStream();
    const text = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body);
    const reader = this.#reader = text.pipeThrough(decoder).getReader();
    while (true) {
      const { done, value } = await reader.read();
      if (done || this.#isClosed) break;
      this.lastReceivedAt = Date.now();
      const events = parser.push(value);
      this.#retryMs = parser.retryMs ?? this.#retryMs;
      this.lastEventId = parser.lastEventId;
      if (events.length > 0) this.#options.onEvents(events);
      if (events.some(({ type }) => type === "runnel.live")) {
        this.#failures = 0;
        this.#options.onState({ name: "live" });
      }
    }
    await reader.cancel();
  }
}

/** @param {number} ms @param {AbortSignal} skip @returns {Promise<void>} */
function delay(ms, skip) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    skip.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
