// @ts-check
/**
 * The error of a request that was refused.
 *
 * @module
 */

/** A refusal that does not change when the request is repeated. */
export class Refusal extends Error {
  /** @override */
  name = "Refusal";
}
