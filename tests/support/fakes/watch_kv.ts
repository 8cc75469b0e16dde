/**
 * A store to watch, whose changes the test controls.
 *
 * @module
 */

import { newHead } from "../../../lib/log/head.ts";
import type { WatchKv } from "../../../lib/kv/kv_connection.ts";

interface OpenWatch {
  keys: readonly Deno.KvKey[];
  controller: ReadableStreamDefaultController<Deno.KvEntryMaybe<unknown>[]>;
}

/** Stores heads by their sequence, and notifies watches. */
export class FakeWatchKv {
  readonly #sequences = new Map<string, number>();
  readonly watches = new Set<OpenWatch>();
  /** Open connections, each with its number of watches. */
  readonly connections = new Set<Set<OpenWatch>>();
  /** Number of watches that were opened. */
  opened = 0;
  /** Error that opening a watch throws, if set. */
  failure: Error | null = null;

  /** Opens a connection. */
  open = (): Promise<WatchKv> => {
    const mine = new Set<OpenWatch>();
    this.connections.add(mine);
    return Promise.resolve({
      watch: ((keys: readonly Deno.KvKey[]) => this.#watch(keys, mine)) as WatchKv["watch"],
      close: () => void this.connections.delete(mine),
    });
  };

  #watch(keys: readonly Deno.KvKey[], mine: Set<OpenWatch>) {
    if (this.failure) throw this.failure;
    this.opened++;
    let watch: OpenWatch;
    return new ReadableStream<Deno.KvEntryMaybe<unknown>[]>({
      start: (controller) => {
        watch = { keys, controller };
        this.watches.add(watch);
        mine.add(watch);
        controller.enqueue(this.#entries(keys));
      },
      cancel: () => {
        this.watches.delete(watch);
        mine.delete(watch);
      },
    });
  }

  #entries(keys: readonly Deno.KvKey[]): Deno.KvEntryMaybe<unknown>[] {
    return keys.map((key) => {
      const sequence = this.#sequences.get(String(key[1]));
      if (sequence === undefined) return { key, value: null, versionstamp: null };
      return {
        key,
        value: { ...newHead("AAECAwQFBgc", 0), sequence },
        versionstamp: `${sequence}`,
      };
    });
  }

  /** Writes a head, and notifies its watches by default. */
  set(pipeline: string, sequence: number, isNotified = true): void {
    this.#sequences.set(pipeline, sequence);
    if (!isNotified) return;
    for (const { keys, controller } of this.watches) {
      if (keys.some((key) => key[1] === pipeline)) controller.enqueue(this.#entries(keys));
    }
  }

  /** Ends all watches, as a server that shuts down. */
  drop(end: (controller: OpenWatch["controller"]) => void): void {
    for (const watch of this.watches) {
      this.watches.delete(watch);
      end(watch.controller);
    }
  }
}
