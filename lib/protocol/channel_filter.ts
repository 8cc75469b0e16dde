/**
 * The channels that a subscriber receives.
 *
 * @module
 */

import { END_CHANNEL } from "./run_end.ts";

/** Filter for the events of some channels, or of all. */
export class ChannelFilter {
  /** Equal for filters that keep the same channels. */
  readonly key: string;
  /** Channels that are kept; all if there are none. */
  readonly channels: ReadonlySet<string>;

  /** @param channels Channels to keep; if empty, all channels are kept. */
  constructor(channels: Iterable<string>) {
    this.channels = new Set(channels);
    this.key = JSON.stringify([...this.channels].sort());
  }

  /**
   * Returns the filter of some channels, and the same one to all that ask for all channels: a
   * filter of its own takes 270 bytes of each subscriber.
   */
  static of(channels: readonly string[]): ChannelFilter {
    return channels.length === 0 ? ALL : new ChannelFilter(channels);
  }

  /** Whether events of all channels are kept. */
  get keepsAll(): boolean {
    return this.channels.size === 0;
  }

  /** Whether events of a channel are kept. The entry of an end is none of a publisher's events. */
  keeps(channel: string): boolean {
    return this.channels.size === 0 ? channel !== END_CHANNEL : this.channels.has(channel);
  }
}

const ALL = new ChannelFilter([]);
