/**
 * The connections of watches, few on each.
 *
 * @module
 */

import type { WatchKv } from "../kv/mod.ts";

/** Maximum number of watches on one connection. */
const MAX_WATCHES = 64;

/** A connection and the number of its watches. */
export interface WatchConnection {
  readonly kv: Promise<WatchKv>;
  watches: number;
}

/** Connections of the watches of an isolate, each open for as long as it has a watch. */
export class WatchConnections {
  readonly #open: () => Promise<WatchKv>;
  readonly #connections = new Set<WatchConnection>();

  /** @param open Opens a connection for watches alone. */
  constructor(open: () => Promise<WatchKv>) {
    this.#open = open;
  }

  /** Number of connections. */
  get size(): number {
    return this.#connections.size;
  }

  /** Returns a connection with room for a watch, which has to be released. */
  acquire(): WatchConnection {
    let connection = this.#connections.values().find(({ watches }) => watches < MAX_WATCHES);
    if (!connection) {
      connection = { kv: this.#open(), watches: 0 };
      this.#connections.add(connection);
    }
    connection.watches++;
    return connection;
  }

  /** Releases a connection, and closes it if it has no other watch. */
  release(connection: WatchConnection): void {
    if (--connection.watches > 0) return;
    this.#connections.delete(connection);
    // A connection that never opened was reported by the watch that waited for it.
    connection.kv.then((kv) => kv.close()).catch(() => {});
  }
}
