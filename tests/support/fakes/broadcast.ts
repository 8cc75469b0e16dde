/**
 * Broadcast channels whose messages a test loses, delays, duplicates or changes.
 *
 * @module
 */

import type { Change } from "../../../lib/log/commit.ts";
import type { ChannelConstructor } from "../../../lib/sync/pipeline_channels.ts";

type Channel = InstanceType<ChannelConstructor>;

/** Fate of a message: `deliver` delivers it, or another one, to all other channels. */
export type Route = (message: Change, deliver: (message: Change) => void) => void;

/** Delivers a message immediately. */
export const deliver: Route = (message, deliver) => deliver(message);

/** The broadcast channels of a simulated process with several isolates. */
export class FakeChannels {
  /** Fate of each message from now on. */
  route: Route = deliver;
  /** Number of messages that were posted. */
  posts = 0;
  /** Called by `close`, beside closing. */
  onClose: () => void = () => {};
  readonly #channels = new Map<Channel, string>();
  /** Replacement for `BroadcastChannel`. */
  readonly Channel: ChannelConstructor;

  constructor() {
    const [open, close] = [this.#open.bind(this), this.#close.bind(this)];
    const post = this.#post.bind(this);
    this.Channel = class implements Channel {
      onmessage: BroadcastChannel["onmessage"] = null;

      constructor(name: string) {
        open(this, name);
      }

      postMessage(message: Change): void {
        post(this, message);
      }

      close(): void {
        close(this);
      }
    };
  }

  /** Names of the open channels, once for each open channel. */
  get open(): string[] {
    return [...this.#channels.values()];
  }

  #open(channel: Channel, name: string): void {
    this.#channels.set(channel, name);
  }

  #close(channel: Channel): void {
    this.#channels.delete(channel);
    this.onClose();
  }

  #post(from: Channel, message: Change): void {
    this.posts++;
    const name = this.#channels.get(from);
    this.route(message, (message) => {
      for (const [channel, other] of this.#channels) {
        if (channel === from || other !== name) continue;
        const event = new MessageEvent("message", { data: structuredClone(message) });
        channel.onmessage?.call(channel as BroadcastChannel, event);
      }
    });
  }
}
