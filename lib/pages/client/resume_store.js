/* @ts-self-types="../../client/resume_store.ts" */
// @ts-nocheck: built from lib/client/resume_store.ts by "deno task build".

export function resumeStore(
  { resumeKey, storage },
  id,
) {
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
