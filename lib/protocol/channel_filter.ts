/**
 * The channels that a subscriber receives.
 *
 * @module
 */

/** Filter for the events of some channels, or of all. */
export class ChannelFilter {
  /** Equal for filters that keep the same channels. */
  readonly key: string;
  readonly #channels: ReadonlySet<string>;

  /** @param channels Channels to keep; if empty, all channels are kept. */
  constructor(channels: Iterable<string>) {
    this.#channels = new Set(channels);
    this.key = JSON.stringify([...this.#channels].sort());
  }

  /** Whether events of all channels are kept. */
  get keepsAll(): boolean {
    return this.#channels.size === 0;
  }

  /** Whether events of a channel are kept. */
  keeps(channel: string): boolean {
    return this.#channels.size === 0 || this.#channels.has(channel);
  }
}
