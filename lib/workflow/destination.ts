/**
 * Where a workflow's events go.
 *
 * @module
 */

import { pipelineProblem } from "../event_rules.ts";

/** Where events go. */
export interface Destination {
  /** The pipeline: `p_` is part of it. */
  pipeline: string;
  /** The address of the service; `http://localhost:8000` if it is not set. */
  url?: string | undefined;
  /** The token of a publisher, if the service asks for one. */
  token?: string | undefined;
}

/**
 * Checks where events are to go, before there are any.
 *
 * @param destination Where to.
 * @returns The address to post to.
 * @throws {TypeError} If the pipeline or the address is none.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(ingestUrl({ pipeline: "p_aBcDeF" }).href, "http://localhost:8000/ingest");
 * ```
 */
export function ingestUrl({ pipeline, url = "http://localhost:8000" }: Destination): URL {
  const problem = pipelineProblem(pipeline);
  if (problem) {
    throw new TypeError(`Cannot send to pipeline ${JSON.stringify(pipeline)}: ${problem}`);
  }
  const base = URL.canParse(url) ? new URL(url) : null;
  if (!base || !/^https?:$/.test(base.protocol)) {
    throw new TypeError(`Cannot send to ${JSON.stringify(url)}: expected an http or https URL`);
  }
  // A service may live below a path of its host.
  return new URL("ingest", base.href.replace(/\/*$/, "/"));
}
