/**
 * The names of query parameters.
 *
 * @module
 */

import { findNearest, RunnelError } from "../base/mod.ts";

/**
 * Rejects parameters that are nearly known: a misspelt filter would let all
 * channels pass. Others are ignored, because some clients add their own.
 *
 * @throws {RunnelError} `malformed-request`.
 */
export function rejectMisspelt(names: readonly string[], known: readonly string[]): void {
  for (const name of names) {
    const nearest = known.includes(name) ? null : findNearest(name, known);
    if (nearest === null) continue;
    throw new RunnelError(
      "malformed-request",
      `Cannot read query: there is no parameter ${JSON.stringify(name)}. Did you mean ${nearest}?`,
    );
  }
}
