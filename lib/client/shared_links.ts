/**
 * The links of a tab to workers, one after the other.
 *
 * @module
 */

import { SharedLink, type SharedLinkOptions } from "./shared_link.ts";
import type { TabMessage } from "./shared_messages.ts";
import type { ClientClock } from "./subscribe_options.ts";

/** Time until a tab that has lost its link opens another one, in milliseconds. */
const AGAIN_MS = 5_000;

/** Number of workers that may end, one soon after the other, before the tab keeps its own stream. */
const MAX_LOSSES = 5;

/** Time after which a worker that has ended is forgotten, in milliseconds. */
const FORGET_MS = 10 * 60_000;

/** Options for {@linkcode SharedLinks}. */
export interface SharedLinksOptions extends Omit<SharedLinkOptions, "onDown"> {
  /** Whether a stream can be shared. Otherwise, no link is ever opened. */
  canShare: boolean;
  /** Called when a link is lost. */
  onDown: (reason: string) => void;
}

/** The link to the worker, which is opened again when it is lost. */
export class SharedLinks {
  readonly #options: SharedLinksOptions;
  readonly #clock: ClientClock;
  #link: SharedLink | null = null;
  #canShare: boolean;
  #losses = 0;
  #lostAt = 0;

  constructor(options: SharedLinksOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#canShare = options.canShare;
  }

  /** Whether a stream may be shared, now or later. */
  get canShare(): boolean {
    return this.#canShare;
  }

  /** Whether the worker has answered, and is not gone. */
  get isUp(): boolean {
    return this.#link?.isUp ?? false;
  }

  /** Opens a link, if there is none. */
  open(): void {
    if (this.#link || !this.#canShare) return;
    this.#link = new SharedLink({
      ...this.#options,
      onDown: (reason, isPermanent) => this.#lose(reason, isPermanent),
    });
  }

  /** Sends a message, if the link is up. */
  post(message: TabMessage): void {
    this.#link?.post(message);
  }

  /** Closes the link. */
  close(): void {
    this.#link?.close();
    this.#link = null;
  }

  /** Closes the link, and opens none any more. */
  stop(): void {
    this.#canShare = false;
    this.close();
  }

  #lose(reason: string, isPermanent: boolean): void {
    this.#link = null;
    const now = this.#clock.now();
    this.#losses = now - this.#lostAt > FORGET_MS ? 1 : this.#losses + 1;
    this.#lostAt = now;
    this.#canShare &&= !isPermanent && this.#losses <= MAX_LOSSES;
    this.#options.onDown(reason);
    this.#clock.after(AGAIN_MS, () => this.open());
  }
}
