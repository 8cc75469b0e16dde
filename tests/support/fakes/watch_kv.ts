/**
 * A store to watch, whose changes are in the test's hands.
 *
 * @module
 */

import { newHead } from "../../../lib/log/head.ts";
import type { WatchKv } from "../../../lib/kv/kv_connection.ts";

interface OpenWatch {
  keys: readonly Deno.KvKey[];
  controller: ReadableStreamDefaultController<Deno.KvEntryMaybe<unknown>[]>;
}

/** Stores heads by their sequence, and tells those who watch. */
export class FakeWatchKv {
  readonly #sequences = new Map<string, number>();
  readonly watches = new Set<OpenWatch>();
  /** Connections that are open, by how many watches each has. */
  readonly connections = new Set<Set<OpenWatch>>();
  /** How often a watch was opened. */
  opened = 0;
  /** What opening a watch meets instead. */
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

  /** Writes a head. Those who watch are told, unless they are not to be. */
  set(pipeline: string, sequence: number, isTold = true): void {
    this.#sequences.set(pipeline, sequence);
    if (!isTold) return;
    for (const { keys, controller } of this.watches) {
      if (keys.some((key) => key[1] === pipeline)) controller.enqueue(this.#entries(keys));
    }
  }

  /** Ends all watches, as a server that goes away. */
  drop(end: (controller: OpenWatch["controller"]) => void): void {
    for (const watch of this.watches) {
      this.watches.delete(watch);
      end(watch.controller);
    }
  }
}
