/**
 * Broadcast channels whose messages a test loses, delays, doubles or changes.
 *
 * @module
 */

import type { Change } from "../../../lib/log/commit.ts";
import type { ChannelConstructor } from "../../../lib/sync/pipeline_channels.ts";

type Channel = InstanceType<ChannelConstructor>;

/** What happens to a message: `deliver` hands it, or another one, to everybody else. */
export type Route = (message: Change, deliver: (message: Change) => void) => void;

/** Delivers at once. */
export const deliver: Route = (message, deliver) => deliver(message);

/** Everything between the isolates of a make-believe process. */
export class FakeChannels {
  /** What happens to messages. */
  route: Route = deliver;
  /** How many messages were posted. */
  posts = 0;
  /** What `close` does beside closing. */
  onClose: () => void = () => {};
  readonly #channels = new Map<Channel, string>();
  /** What stands in for `BroadcastChannel`. */
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

  /** The names of the channels that are open, each as often as it is. */
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
