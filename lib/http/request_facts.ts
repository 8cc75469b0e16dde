/**
 * Facts about a request for the log: nothing that a client may have put into it by mistake,
 * such as a token in the path or a ticket in the query.
 *
 * @module
 */

import type { LogFields } from "../base/mod.ts";
import { PIPELINE_PATTERN } from "../protocol/mod.ts";
import type { Routes } from "./openapi.ts";
import type { RequestEnv } from "./request_env.ts";

/** Methods that are named. A client can send any word as one. */
const METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"];

/** Describes a request by its method, its route, its pipeline and its ID. */
export type DescribeRequest = (request: Request, env: RequestEnv) => LogFields;

/** Creates a function that describes requests to some routes. */
export function createDescriber(routes: Routes): DescribeRequest {
  const patterns = Object.values(routes).map(({ path }) => ({
    route: path as string,
    pattern: new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`),
  }));
  return ({ method, url }, { id }) => {
    const pathname = URL.canParse(url) ? new URL(url).pathname : "";
    const found = patterns.find(({ pattern }) => pattern.test(pathname));
    const pipeline = found?.pattern.exec(pathname)?.groups?.["pipeline"];
    return {
      method: METHODS.includes(method) ? method : "other",
      route: found?.route ?? "none",
      pipeline: pipeline !== undefined && PIPELINE_PATTERN.test(pipeline) ? pipeline : undefined,
      request: id,
    };
  };
}
