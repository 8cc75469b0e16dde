/* @ts-self-types="../../client/attempt.ts" */
// @ts-nocheck: built from lib/client/attempt.ts by "deno task build".

const CHECK_MS = 5_000;

const BEGINNING_MS = 1_000;

export class Attempt {
  limitMs = Infinity;
  isStalled = false;
  wasLive = false;
  flowed = false;
  isClean = false;
  reader;
  #clock;
  #startedAt;
  #controller = new AbortController();
  signal = this.#controller.signal;
  #liveAt = Infinity;
  #since = 0;
  #cancelTimer = () => {};
  #reject;

  constructor(clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  get ms() {
    return this.#clock.now() - this.#startedAt;
  }

  live(limitMs) {
    this.wasLive = true;
    this.limitMs = limitMs;
    this.#liveAt = this.#clock.now();
  }

  async read() {
    const { done, value } = await this.wait(this.reader.read());
    this.isClean = done;
    this.flowed ||= !done && this.#clock.now() - this.#liveAt >= BEGINNING_MS;
    return value;
  }

  async wait(work) {
    this.#since = this.#clock.now();
    try {
      return await new Promise((resolve, reject) => {
        this.#reject = reject;
        work.then(resolve, reject);
        if (this.signal.aborted) reject(this.signal.reason);
        this.check();
      });
    } finally {
      this.#reject = undefined;
      this.#cancelTimer();
    }
  }

  check(limitMs = this.limitMs) {
    if (!this.#reject || this.limitMs === Infinity) return;
    const now = this.#clock.now();
    // The clock may have been set back.
    this.#since = Math.min(this.#since, now);
    const silentMs = now - this.#since;
    this.#cancelTimer();
    if (silentMs < limitMs) {
      const ms = Math.min(limitMs - silentMs, CHECK_MS);
      this.#cancelTimer = this.#clock.after(ms, () => this.check());
    } else {
      this.isStalled = true;
      this.end(`Nothing arrived for ${Math.round(silentMs / 1000)} seconds`);
    }
  }

  end(reason = "closed") {
    this.#controller.abort(new Error(reason));
    this.#reject?.(this.signal.reason);
    this.reader?.cancel().catch(() => {});
  }
}
