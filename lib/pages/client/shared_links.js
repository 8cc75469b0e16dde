/* @ts-self-types="../../client/shared_links.ts" */
// @ts-nocheck: built from lib/client/shared_links.ts by "deno task build".

import { SharedLink } from "./shared_link.js";

const AGAIN_MS = 5_000;

const MAX_LOSSES = 5;

const FORGET_MS = 10 * 60_000;

export class SharedLinks {
  #options;
  #clock;
  #link = null;
  #canShare;
  #losses = 0;
  #lostAt = 0;

  constructor(options) {
    this.#options = options;
    this.#clock = options.clock;
    this.#canShare = options.canShare;
  }

  get canShare() {
    return this.#canShare;
  }

  get isUp() {
    return this.#link?.isUp ?? false;
  }

  open() {
    if (this.#link || !this.#canShare) return;
    this.#link = new SharedLink({
      ...this.#options,
      onDown: (reason, isPermanent) => this.#lose(reason, isPermanent),
    });
  }

  post(message) {
    this.#link?.post(message);
  }

  close() {
    this.#link?.close();
    this.#link = null;
  }

  stop() {
    this.#canShare = false;
    this.close();
  }

  #lose(reason, isPermanent) {
    this.#link = null;
    const now = this.#clock.now();
    this.#losses = now - this.#lostAt > FORGET_MS ? 1 : this.#losses + 1;
    this.#lostAt = now;
    this.#canShare &&= !isPermanent && this.#losses <= MAX_LOSSES;
    this.#options.onDown(reason);
    this.#clock.after(AGAIN_MS, () => this.open());
  }
}
