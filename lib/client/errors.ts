/**
 * The error of a subscription that has failed permanently.
 *
 * @module
 */

/**
 * Permanent refusal of a subscription. `getToken` and `getUrl` may throw it as well, to end the
 * subscription: after any other error they are called again.
 *
 * @example Tell a refusal from other errors
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { subscribe, SubscribeError } from "@runnel/client";
 *
 * // The service, which is played by a function here.
 * const fetch = async () => Response.json({ detail: "No such route" }, { status: 404 });
 * try {
 *   for await (const event of subscribe("http://localhost:8000", { pipelines: "p_a", fetch })) {
 *     console.log(event);
 *   }
 * } catch (error) {
 *   if (!(error instanceof SubscribeError)) throw error;
 *   equal(error.message, "Cannot subscribe: 404 No such route");
 * }
 * ```
 */
export class SubscribeError extends Error {
  /** HTTP status of the refusal; 0 if it is not from the service. */
  declare readonly status: number;
  /** Type of the problem document, such as `urn:runnel:problem:forbidden`; empty without one. */
  declare readonly type: string;
  /** Detail of the problem document; empty without one. */
  declare readonly detail: string;

  /**
   * Creates an error.
   *
   * @param reason Reason, without a period.
   * @param details Status, and the members of the problem document.
   */
  constructor(
    reason: string,
    { status = 0, type = "", detail = "" }: { status?: number; type?: string; detail?: string } =
      {},
  ) {
    super(`Cannot subscribe: ${reason}`);
    this.name = "SubscribeError";
    this.status = status;
    this.type = type;
    this.detail = detail;
  }
}
