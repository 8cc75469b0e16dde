/**
 * The choice between the event stream and the long poll.
 *
 * @module
 */

import type { Attempt } from "./attempt.ts";

/** Time without a byte after which a connection is cut: keep-alives come every 15 seconds. */
export const STALL_MS = 40_000;

/** Time without a byte at the beginning of a stream after which it may be held back. */
const HOLD_MS = 5_000;

/** Time until a client that polls tries the stream again. It doubles each time … */
const POLL_MS = 5 * 60_000;

/** … up to this. */
const MAX_POLL_MS = 60 * 60_000;

/** Time that the service holds a poll without news, in seconds. */
const WAIT_SECONDS = 25;

/**
 * Transport of one subscription.
 *
 * Some networks hold a stream back: a proxy waits for the end of an answer, or until its buffer is
 * full. Then nothing arrives, although a request that ends is answered at once. So if nothing
 * arrives at the beginning of a stream, one poll that does not wait is the test. If it is answered
 * in the same time, the client polls; if not, the network is only slow.
 */
export class Transport {
  /** Transport of the next connection. */
  name: "stream" | "poll" = "stream";
  /** Time that the service holds the next poll, in seconds; 0 for a test, and for a stream. */
  waitSeconds = 0;
  #holdMs = HOLD_MS;
  /** Streams in a row on which nothing came after their beginning. */
  #silentStreams = 0;
  #pollMs = POLL_MS;
  #tryStreamAt = 0;

  /** Chooses the transport of the next connection. */
  choose(now: number): void {
    if (!this.waitSeconds || now < this.#tryStreamAt) return;
    this.name = "stream";
    this.waitSeconds = 0;
    // The next silence is enough: this network was known to hold streams back.
    this.#silentStreams = 1;
  }

  /** Lets the next connection be a stream, since the network has changed. */
  tryStream(): void {
    this.#tryStreamAt = 0;
  }

  /** Time without a byte after which the next connection is cut before it is live. */
  get beginningMs(): number {
    return this.waitSeconds ? STALL_MS : this.#holdMs;
  }

  /**
   * Called when a connection has ended.
   *
   * @returns Whether the next one is to follow at once.
   */
  ended(attempt: Attempt, now: number): boolean {
    return this.name === "stream" ? this.#streamEnded(attempt) : this.#pollEnded(attempt, now);
  }

  #streamEnded({ wasLive, flowed, isStalled }: Attempt): boolean {
    if (flowed) {
      this.#silentStreams = 0;
      this.#pollMs = POLL_MS;
    } else if (wasLive && isStalled) this.#silentStreams++;
    if (wasLive) this.#holdMs = HOLD_MS;
    const isHeld = isStalled && (!wasLive || this.#silentStreams > 1);
    if (isHeld) this.name = "poll";
    return isHeld;
  }

  #pollEnded({ wasLive, isClean, ms }: Attempt, now: number): boolean {
    const isAnswered = wasLive && isClean;
    const isTest = !this.waitSeconds;
    if (isTest && isAnswered) {
      this.waitSeconds = WAIT_SECONDS;
      this.#tryStreamAt = now + this.#pollMs;
      this.#pollMs = Math.min(2 * this.#pollMs, MAX_POLL_MS);
    } else if (isTest) {
      // Not the stream is slow, but the network.
      this.name = "stream";
      this.#holdMs = Math.min(2 * this.#holdMs, STALL_MS);
    } else if (!isAnswered && ms >= 2000) {
      // A proxy between may not wait as long as the service does.
      const seconds = Math.floor(Math.min(this.waitSeconds, ms / 1000) * 0.8);
      if (seconds) this.waitSeconds = seconds;
      return seconds > 0;
    }
    return false;
  }
}
