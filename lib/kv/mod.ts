/**
 * Deno KV with deadlines: opens, locks and calls a store.
 *
 * @module
 */

export { assertNotCopied, removeSourceMark } from "./copy_mark.ts";
export { type Copied, copyStore, type CopyStoreOptions, type NamedStore } from "./copy_store.ts";
export { type DiskReserve, isDiskFull } from "./disk_reserve.ts";
export type { StoreGuard } from "./file_guard.ts";
export {
  type CallOptions,
  type Kv,
  KvConnection,
  MAX_KEYS,
  type WatchKv,
} from "./kv_connection.ts";
export { type KvStorage, prepareStorage } from "./storage.ts";
export { compactFile, copyFile, replaceFile } from "./store_file.ts";
