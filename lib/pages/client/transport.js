/* @ts-self-types="../../client/transport.ts" */
// @ts-nocheck: built from lib/client/transport.ts by "deno task build".

export const STALL_MS = 40_000;

const HOLD_MS = 5_000;

const POLL_MS = 5 * 60_000;

const MAX_POLL_MS = 60 * 60_000;

const WAIT_SECONDS = 25;

export class Transport {
  name = "stream";
  waitSeconds = 0;
  #holdMs = HOLD_MS;
  #silentStreams = 0;
  #pollMs = POLL_MS;
  #tryStreamAt = 0;

  choose(now) {
    if (!this.waitSeconds || now < this.#tryStreamAt) return;
    this.name = "stream";
    this.waitSeconds = 0;
    // The next silence is enough: this network was known to hold streams back.
    this.#silentStreams = 1;
  }

  tryStream() {
    this.#tryStreamAt = 0;
  }

  get beginningMs() {
    return this.waitSeconds ? STALL_MS : this.#holdMs;
  }

  ended(attempt, now) {
    return this.name === "stream" ? this.#streamEnded(attempt) : this.#pollEnded(attempt, now);
  }

  #streamEnded({ wasLive, flowed, isStalled }) {
    if (flowed) {
      this.#silentStreams = 0;
      this.#pollMs = POLL_MS;
    } else if (wasLive && isStalled) this.#silentStreams++;
    if (wasLive) this.#holdMs = HOLD_MS;
    const isHeld = isStalled && (!wasLive || this.#silentStreams > 1);
    if (isHeld) this.name = "poll";
    return isHeld;
  }

  #pollEnded({ wasLive, isClean, ms }, now) {
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
