/**
 * Which channels a subscriber asked for.
 *
 * @module
 */

/** Keeps the events of some channels, or all. */
export class ChannelFilter {
  /** Two filters with the same key keep the same events. */
  readonly key: string;
  readonly #channels: ReadonlySet<string>;

  /**
   * Makes a filter.
   *
   * @param channels The channels to keep; all if there are none.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   *
   * equal(new ChannelFilter(["orders"]).keeps("names"), false);
   * equal(new ChannelFilter([]).keeps("names"), true);
   * ```
   */
  constructor(channels: Iterable<string>) {
    this.#channels = new Set(channels);
    this.key = JSON.stringify([...this.#channels].sort());
  }

  /**
   * Whether events of a channel are kept.
   *
   * @param channel The channel.
   */
  keeps(channel: string): boolean {
    return this.#channels.size === 0 || this.#channels.has(channel);
  }
}
