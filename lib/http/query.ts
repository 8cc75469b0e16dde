/**
 * The parameters of a query.
 *
 * @module
 */

import { findNearest, RunnelError } from "../base/mod.ts";
import type { AppContext } from "./context.ts";

/** Parameters that a request names. */
export interface KnownParameters {
  /** Names of those that may be given once. */
  once: readonly string[];
  /** Names of those that may be repeated. */
  repeated?: readonly string[];
}

/**
 * Reads the parameters of a query: a text for each that may be given once, and an array for each
 * that may be repeated.
 *
 * @throws {RunnelError} `malformed-request` if one is misspelt, or given more often than it may be.
 */
export function readParameters(
  c: AppContext,
  { once, repeated = [] }: KnownParameters,
): Record<string, string | string[]> {
  const given = c.req.queries();
  const names = Object.keys(given);
  rejectMisspelt(names, [...once, ...repeated]);
  const entries = names.map((name) => {
    const values = given[name]!;
    if (repeated.includes(name)) return [name, values];
    if (values.length > 1 && once.includes(name)) {
      throw new RunnelError(
        "malformed-request",
        `Cannot read query: the parameter ${name} is given ${values.length} times. Give it once`,
      );
    }
    return [name, values[0]!];
  });
  return Object.fromEntries(entries);
}

/**
 * Rejects parameters that are nearly known: a misspelt filter would let all
 * channels pass. Others are ignored, because some clients add their own.
 */
function rejectMisspelt(names: readonly string[], known: readonly string[]): void {
  for (const name of names) {
    const nearest = known.includes(name) ? null : findNearest(name, known);
    if (nearest === null) continue;
    throw new RunnelError(
      "malformed-request",
      `Cannot read query: there is no parameter ${JSON.stringify(name)}. Did you mean ${nearest}?`,
    );
  }
}
