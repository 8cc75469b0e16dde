/**
 * Deno KV with deadlines: opens, locks and calls a store.
 *
 * @module
 */

export {
  type CallOptions,
  type Kv,
  KvConnection,
  MAX_KEYS,
  type WatchKv,
} from "./kv_connection.ts";
export { prepareStorage, type Storage } from "./storage.ts";
