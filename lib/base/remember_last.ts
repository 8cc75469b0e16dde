/**
 * Memory of one result, for computations that are asked for the same again and again.
 *
 * @module
 */

/**
 * Returns a function that remembers its last argument and the result for it.
 *
 * @param compute Computes the result. It must depend on nothing but its argument. If it
 *   throws, nothing is remembered.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * let calls = 0;
 * const length = rememberLast((text: string) => {
 *   calls++;
 *   return text.length;
 * });
 * equal(length("abc") + length("abc"), 6);
 * equal(calls, 1);
 * ```
 */
export function rememberLast<R>(compute: (argument: string) => R): (argument: string) => R {
  let last: { argument: string; result: R } | null = null;
  return (argument) => {
    if (last?.argument !== argument) last = { argument, result: compute(argument) };
    return last.result;
  };
}
