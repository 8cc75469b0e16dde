/**
 * The channels that a subscriber requested.
 *
 * @module
 */

/** A filter that keeps the events of some channels, or of all. */
export class ChannelFilter {
  /** Identity of the filter: filters with the same key keep the same events. */
  readonly key: string;
  readonly #channels: ReadonlySet<string>;

  /** @param channels The channels to keep; all if there are none. */
  constructor(channels: Iterable<string>) {
    this.#channels = new Set(channels);
    this.key = JSON.stringify([...this.#channels].sort());
  }

  /** Whether events of a channel are kept. */
  keeps(channel: string): boolean {
    return this.#channels.size === 0 || this.#channels.has(channel);
  }
}
