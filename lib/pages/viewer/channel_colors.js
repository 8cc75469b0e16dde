// @ts-check
/**
 * Colors of channels.
 *
 * @module
 */

/** Number of colors: twelve hues, each in two tones. */
export const COLORS = 24;

/**
 * Returns the number of a channel's color, which depends on its name only: it is the same in each
 * page and after each reload. Two channels may have the same one.
 *
 * @param {string} name
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 *
 * ok(colorOf("orders") < COLORS);
 * ```
 */
export function colorOf(name) {
  // FNV-1a. The factor after it was chosen so that fifteen common names have colors of their own.
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (Math.imul(hash, 231) >>> 8) % COLORS;
}
