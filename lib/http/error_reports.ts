/**
 * Reports of requests that were refused, or that failed.
 *
 * @module
 */

import { RunnelError, type RunnelErrorType, type Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import type { AppContext } from "./context.ts";
import type { DescribeRequest } from "./request_facts.ts";

/** Errors that no client caused, in addition to unexpected ones. */
const OUTAGES: readonly RunnelErrorType[] = [
  "log-unavailable",
  "outcome-unknown",
  "keys-unavailable",
];

/**
 * Creates a function that reports an error to the operator, with the ID of its request. One
 * that a client caused has the level `debug`, and only its type is told: its message may
 * quote the request.
 */
export function createErrorReporter(
  { log }: Pick<Config, "log">,
  runtime: Pick<Runtime, "report">,
  describe: DescribeRequest,
): (c: AppContext, error: Error) => void {
  return (c, error) => {
    const isRefusal = error instanceof RunnelError && !OUTAGES.includes(error.type);
    // Strangers can cause any number of them.
    if (isRefusal && log !== "debug") return;
    const { method, route, ...fields } = describe(c.req.raw, c.env);
    if (!isRefusal) runtime.report(`Cannot ${method} ${route}`, error, { fields });
    else {
      runtime.report("Refused a request", undefined, {
        level: "debug",
        unlimited: true,
        fields: { problem: error.type, method, route, ...fields },
      });
    }
  };
}
