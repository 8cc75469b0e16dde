/**
 * Where a workflow's events go.
 *
 * @module
 */

import { validatePipelineId } from "../protocol/event_rules.ts";

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
 * @throws {TypeError} If the pipeline, the address or the token is none.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(ingestUrl({ pipeline: "p_aBcDeF" }).href, "http://localhost:8000/ingest");
 * ```
 */
export function ingestUrl({ pipeline, url, token }: Destination): URL {
  const problem = validatePipelineId(pipeline);
  if (problem) {
    throw new TypeError(`Cannot send to pipeline ${JSON.stringify(pipeline)}: ${problem}`);
  }
  // Neither repeats what may be secret.
  if (token && !/^[!-~]+$/.test(token)) {
    throw new TypeError("Cannot send: the token: expected visible ASCII characters, and no spaces");
  }
  const ingest = parseUrl(url ?? "http://localhost:8000");
  if (ingest.username || ingest.password) {
    throw new TypeError("Cannot send: the URL has a user name or a password. Use a token");
  }
  // A service may live below a path of its host.
  ingest.pathname = `${ingest.pathname.replace(/\/+$/, "")}/ingest`;
  [ingest.search, ingest.hash] = ["", ""];
  return ingest;
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new TypeError(`Cannot send to ${JSON.stringify(text)}: expected an http or https URL`);
}
