// @ts-check
/**
 * The needs of the service for tokens.
 *
 * @module
 */

/** @typedef {{ publish: boolean, subscribe: boolean }} TokenNeeds */

/**
 * Reads from the OpenAPI document of the service who needs a token.
 *
 * @returns {Promise<TokenNeeds>}
 */
export async function readTokenNeeds() {
  const response = await fetch("/openapi.json", { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`The service answered ${response.status}`);
  return findTokenNeeds(await response.json());
}

/**
 * Finds in an OpenAPI document who needs a token.
 *
 * @param {{ paths: Record<string, Record<string, { security?: unknown[] }>> }} document
 * @returns {TokenNeeds}
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual } from "node:assert/strict";
 *
 * const paths = { "/ingest": { post: { security: [{ token: [] }] } } };
 * deepEqual(findTokenNeeds({ paths }), { publish: true, subscribe: false });
 * ```
 */
export function findTokenNeeds({ paths }) {
  const isGuarded = (/** @type {string} */ path, /** @type {string} */ method) =>
    (paths[path]?.[method]?.security ?? []).length > 0;
  return {
    publish: isGuarded("/ingest", "post"),
    subscribe: isGuarded("/pipelines/{pipeline}/sse", "get"),
  };
}
