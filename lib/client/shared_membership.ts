/**
 * The membership of a tab in a shared stream.
 *
 * @module
 */

import type { SharedBody } from "./shared_body.ts";
import { SharedLinks } from "./shared_links.ts";
import type { WorkerMessage } from "./shared_messages.ts";
import type { SharedPlatform } from "./shared_platform.ts";
import type { ClientClock } from "./subscribe_options.ts";

/** Time that the worker has to answer whether a stream continues at a position, in milliseconds. */
const ANSWER_MS = 500;

/** Time until a tab that could not be fed asks again, in milliseconds. */
const AGAIN_MS = 5_000;

/** Reason to be apart while nothing is wrong. */
const ALONE = "No other tab shares this stream yet";

/** Options for {@linkcode SharedMembership}. */
export interface SharedMembershipOptions {
  platform: SharedPlatform;
  clock: ClientClock;
  /** Base URL of the service. */
  url: string;
  /** Channels; empty for all. */
  channels: readonly string[];
  /** Name under which tabs share a stream although their tokens differ. */
  share: string | undefined;
  /** Reason for which the stream cannot be shared; empty if there is none. */
  obstacle: string;
  /** Called with the reason for which the tab is apart, if it is. */
  onApart: (reason: string) => void;
  /** Called when an attempt is worth it: the shared stream is back. */
  onPoke: () => void;
}

/**
 * A tab joins again and again, with its newest position. Each time has a number, by which messages
 * for an earlier one are told apart.
 */
export class SharedMembership {
  /** Links to the worker. */
  readonly links: SharedLinks;
  /** Stream of the tab, which the worker may feed. */
  body: SharedBody | null = null;
  /** Token of the tab. */
  token: string | undefined;
  readonly #options: SharedMembershipOptions;
  /** Number of the newest message by which the tab has joined. */
  #number = 0;
  /** Whether the worker has not ended what the tab has joined. */
  #isJoined = false;
  /** Takes the answer of the worker while the tab has no stream of its own. */
  #answer: ((message: WorkerMessage | null) => void) | null = null;
  #taken = { count: 0, length: 0 };
  #isAcknowledging = false;

  constructor(options: SharedMembershipOptions) {
    const { platform, clock, obstacle, onApart } = options;
    this.#options = options;
    this.links = new SharedLinks({
      createWorker: platform.createWorker,
      locks: platform.locks!,
      clock,
      createName: platform.createName,
      canShare: obstacle === "",
      onMessage: (message) => this.#take(message),
      onUp: () => {
        onApart(ALONE);
        this.announce();
      },
      onDown: (reason) => {
        this.#isJoined = false;
        onApart(reason);
        this.#answer?.(null);
        this.body?.loseFeed(reason);
      },
    });
    onApart(obstacle || ALONE);
  }

  /** Offers to leave the stream of the tab's own. */
  announce(): void {
    if (this.body?.isApart) this.#join(this.body, true);
  }

  /**
   * Asks for a feed without a stream of the tab's own.
   *
   * @param onAnswer Called with the answer, before any event of the feed; `null` without one.
   */
  ask(body: SharedBody, onAnswer: (message: WorkerMessage | null) => void): void {
    const cancel = this.#options.clock.after(ANSWER_MS, () => this.#answer?.(null));
    this.#answer = (message) => {
      this.#answer = null;
      cancel();
      onAnswer(message);
    };
    this.#join(body, false);
  }

  /** Acknowledges an event of the feed, or a sign of life, with its length. */
  acknowledge(length: number): void {
    this.#taken.count++;
    this.#taken.length += length;
    if (this.#isAcknowledging) return;
    this.#isAcknowledging = true;
    queueMicrotask(() => {
      this.#isAcknowledging = false;
      this.links.post({ type: "acknowledge", feed: this.#number, ...this.#taken });
    });
  }

  /** Leaves the shared stream. */
  leave(): void {
    if (this.#isJoined) this.links.post({ type: "leave" });
    this.#isJoined = false;
    // What is on its way is for nobody.
    this.#number++;
  }

  /** Closes the link to the worker, which forgets the tab. A later one may be opened. */
  close(): void {
    this.links.close();
    this.#isJoined = false;
  }

  #join({ openPipelines: pipelines, positions }: SharedBody, hasStream: boolean): void {
    if (!this.links.isUp) return;
    const { url, channels, share } = this.#options;
    this.#taken = { count: 0, length: 0 };
    this.#isJoined = true;
    this.links.post({
      type: "join",
      join: ++this.#number,
      url,
      pipelines,
      channels,
      token: this.token,
      share,
      positions: new Map([...positions].filter(([each]) => pipelines.includes(each))),
      hasStream,
    });
  }

  #take(message: WorkerMessage): void {
    switch (message.type) {
      case "welcome":
        return;
      case "where":
        return this.announce();
      case "poke":
        return this.#options.onPoke();
      case "alone":
      case "down":
        if (message.join !== this.#number) return;
        // A tab that waits is poked.
        this.#isJoined = false;
        return this.#answer?.(message);
      case "feed":
        if (message.feed !== this.#number) return;
        if (this.#answer) return this.#answer(message);
        if (!this.body?.begin(message.feed, message.positions)) this.#retreat();
        return;
      default:
        if (message.feed !== this.#number) return;
        if (message.type === "stop") this.#isJoined = false;
        if (this.body?.take(message)) this.#retreat();
    }
  }

  /** Stays on the stream of the tab's own for a while. */
  #retreat(): void {
    this.leave();
    this.#options.clock.after(AGAIN_MS, () => this.announce());
  }
}
