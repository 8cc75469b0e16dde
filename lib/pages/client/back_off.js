/* @ts-self-types="../../client/back_off.ts" */
// @ts-nocheck: built from lib/client/back_off.ts by "deno task build".

const RETRY_MS = 2_000;

const MIN_MS = 100;

const MAX_BACK_OFF_MS = 30_000;

const MAX_ASKED_MS = 600_000;

export class BackOff {
  #random;
  #retryMs = RETRY_MS;
  #failures = 0;

  constructor(random) {
    this.#random = random;
  }

  setRetry(ms = RETRY_MS) {
    this.#retryMs = Math.min(Math.max(ms, MIN_MS), MAX_ASKED_MS);
  }

  reset() {
    this.#failures = 0;
  }

  next(askedMs) {
    const failures = this.#failures++;
    const asked = Math.min(Math.max(askedMs || 0, 0), MAX_ASKED_MS);
    if (!failures && !asked) return this.#retryMs;
    const backOff = Math.min(MAX_BACK_OFF_MS, Math.max(this.#retryMs, 5 * MIN_MS) * 2 ** failures);
    return asked + Math.max(this.#retryMs, backOff * (0.5 + this.#random() / 2));
  }
}
