/**
 * The last event ID of a page, which survives a reload.
 *
 * @module
 */

import type { SubscribeOptions } from "./subscribe_options.ts";

/**
 * Reads or stores the last event ID of a page. Without a key it does nothing. A storage that is
 * missing, full or forbidden is no failure: then a reloaded page begins again.
 *
 * @param id ID to store; absent to read it.
 * @returns The ID that was read; empty if there is none.
 */
export function resumeStore(
  { resumeKey, storage }: Pick<SubscribeOptions, "resumeKey" | "storage">,
  id?: string,
): string {
  if (resumeKey) {
    try {
      // Even to look at `sessionStorage` throws in a page that may not have it.
      const store = storage ?? sessionStorage;
      if (id === undefined) return store.getItem(resumeKey) ?? "";
      store.setItem(resumeKey, id);
    } catch {
      // The documentation says so.
    }
  }
  return "";
}
