/**
 * Deno KV with deadlines: opens, locks and calls a store.
 *
 * @module
 */

export { type Kv, KvConnection, type WatchKv } from "./kv_connection.ts";
export { prepareStorage, type Storage } from "./storage.ts";
