// @ts-check
/**
 * An event stream that reconnects.
 *
 * An `EventSource` receives only the event types that it has a listener for; this class receives
 * all of them.
 *
 * @module
 */

import { Refusal } from "../shared/refusal.js";
import { EventStreamParser } from "./event_stream_parser.js";

/** @typedef {import("./event_stream_parser.js").StreamedEvent} StreamedEvent */

/** Reconnection time until the service sends its own, in milliseconds. */
const RETRY_MS = 2000;

/** Longest wait between two attempts, in milliseconds. */
const MAX_WAIT_MS = 30_000;

/**
 * State of a stream. `ms` is the wait before the next attempt, in milliseconds.
 *
 * @typedef {{ name: "connecting" | "catching-up" | "live" | "ended" } |
 *   { name: "waiting", ms: number } |
 *   { name: "refused", reason: string }} StreamState
 */

/**
 * Options for {@linkcode LiveStream}.
 *
 * @typedef {object} LiveStreamOptions
 * @property {(lastEventId: string) => Promise<Response>} open Opens the stream after an event.
 * @property {string} [lastEventId] ID of the event to start after.
 * @property {() => void} [onExpired] Called before the end of a stream that needs another token or
 *   ticket to be opened again.
 * @property {(events: StreamedEvent[]) => void} onEvents Called with events that arrived together.
 * @property {(state: StreamState) => void} onState Called with each new state.
 * @property {(ms: number, skip: AbortSignal) => Promise<void>} [wait] Waits until the time is over
 *   or the signal is aborted.
 * @property {() => number} [random] Returns a number from 0 to 1.
 */

/** An event stream that reconnects after its last event ID, until its run has ended. */
export class LiveStream {
  #options;
  /** ID of the event to resume after. */
  lastEventId = "";
  /** Number of times that the stream was opened again. */
  reconnects = 0;
  /** When the last bytes arrived, in milliseconds since 1970. @type {number | null} */
  lastReceivedAt = null;
  #opened = 0;
  #failures = 0;
  #retryMs = RETRY_MS;
  #skip = new AbortController();
  #isClosed = false;
  /** @type {ReadableStreamDefaultReader<string> | null} */
  #reader = null;

  /** @param {LiveStreamOptions} options */
  constructor(options) {
    this.#options = { wait: delay, random: Math.random, ...options };
    this.lastEventId = options.lastEventId ?? "";
  }

  /**
   * Opens the stream and keeps it open until its run has ended, or {@linkcode LiveStream.close} is
   * called.
   */
  async run() {
    const { onState } = this.#options;
    while (!this.#isClosed) {
      this.#skip = new AbortController();
      try {
        onState({ name: "connecting" });
        const hasEnded = await this.#read(await this.#options.open(this.lastEventId));
        if (hasEnded && !this.#isClosed) return onState({ name: "ended" });
      } catch (error) {
        if (error instanceof Refusal) {
          onState({ name: "refused", reason: error.message });
          await new Promise((resolve) => this.#skip.signal.addEventListener("abort", resolve));
          continue;
        }
        // Any other error, of the network or of the service, may be transient.
      }
      if (this.#isClosed) break;
      // The service spreads the clients that reconnect; only failures are spread here.
      const spread = this.#failures === 0 ? 1 : 1 + this.#options.random();
      const ms = Math.min(MAX_WAIT_MS, this.#retryMs * 2 ** this.#failures++ * spread);
      onState({ name: "waiting", ms });
      await this.#options.wait(ms, this.#skip.signal);
    }
  }

  /** Skips the wait for the next attempt, also after a refusal. */
  retryNow() {
    this.#failures = 0;
    this.#skip.abort();
  }

  /** Ends the stream permanently. */
  close() {
    this.#isClosed = true;
    this.#skip.abort();
    this.#reader?.cancel().catch(() => {});
  }

  /**
   * Reads a stream.
   *
   * @param {Response} response
   * @returns {Promise<boolean>} Whether the run has ended, so that nothing will follow.
   */
  async #read(response) {
    // To who has the end already, there is nothing to send.
    if (response.status === 204) return true;
    if (this.#opened++ > 0) this.reconnects++;
    this.#options.onState({ name: "catching-up" });
    const parser = new EventStreamParser(this.lastEventId);
    const decoder = new TextDecoderStream();
    if (!response.body) throw new Error("The answer has no body");
    const reader = this.#reader = response.body.pipeThrough(decoder).getReader();
    let hasEnded = false;
    while (!hasEnded) {
      const { done, value } = await reader.read();
      if (done || this.#isClosed) break;
      this.lastReceivedAt = Date.now();
      const events = parser.push(value);
      this.#retryMs = parser.retryMs ?? this.#retryMs;
      this.lastEventId = parser.lastEventId;
      if (events.length > 0) this.#options.onEvents(events);
      if (events.some(({ type }) => type === "runnel.expired")) this.#options.onExpired?.();
      if (events.some(({ type }) => type === "runnel.live")) {
        this.#failures = 0;
        this.#options.onState({ name: "live" });
      }
      hasEnded = events.some(({ type }) => type === "runnel.end");
    }
    await reader.cancel();
    return hasEnded;
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
