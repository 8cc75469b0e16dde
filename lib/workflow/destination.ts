/**
 * The destination of events: a pipeline of a service.
 *
 * @module
 */

import { validatePipelineId } from "../protocol/event_rules.ts";

/**
 * Destination of events.
 *
 * @example A service that asks for a token
 * ```ts
 * import type { Destination } from "@runnel/workflow";
 *
 * const destination: Destination = {
 *   pipeline: "p_aBcDeF",
 *   url: "https://events.example.com",
 *   token: "a-token-of-a-publisher",
 * };
 * ```
 */
export interface Destination {
  /** Pipeline ID: `p_` and 1 to 62 letters, digits, `_` or `-`. */
  pipeline: string;
  /**
   * HTTP or HTTPS URL of the service, with the path that it is served below.
   *
   * @default {"http://localhost:8000"}
   */
  url?: string | undefined;
  /** Token of a publisher, in visible ASCII characters, if the service asks for one. */
  token?: string | undefined;
}

/**
 * Validates a destination and returns the URL to post events to.
 *
 * @throws {TypeError} If the pipeline, the URL or the token is invalid.
 *
 * @example The default service
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(ingestUrl({ pipeline: "p_aBcDeF" }).href, "http://localhost:8000/ingest");
 * ```
 */
export function ingestUrl(destination: Destination): URL {
  return urlOf(destination, "ingest");
}

/**
 * Validates a destination and returns the URL that ends its run.
 *
 * @throws {TypeError} As {@linkcode ingestUrl}.
 *
 * @example The default service
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const { href } = endUrl({ pipeline: "p_aBcDeF" });
 * equal(href, "http://localhost:8000/pipelines/p_aBcDeF/end");
 * ```
 */
export function endUrl(destination: Destination): URL {
  return urlOf(destination, `pipelines/${destination.pipeline}/end`);
}

function urlOf({ pipeline, url, token }: Destination, path: string): URL {
  // A list of one would pass for its only element.
  const problem = validatePipelineId(typeof pipeline === "string" ? pipeline : "");
  if (problem) {
    throw new TypeError(`Cannot send to pipeline ${JSON.stringify(pipeline)}: ${problem}`);
  }
  // Neither of these messages repeats a value that may be secret.
  if (token && !/^[!-~]+$/.test(token)) {
    throw new TypeError("Cannot send: the token: expected visible ASCII characters, and no spaces");
  }
  const address = parseUrl(url ?? "http://localhost:8000");
  if (address.username || address.password) {
    throw new TypeError("Cannot send: the URL has a user name or a password. Use a token");
  }
  // A service may be served below a path of its host.
  address.pathname = `${address.pathname.replace(/\/+$/, "")}/${path}`;
  [address.search, address.hash] = ["", ""];
  return address;
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new TypeError(`Cannot send to ${JSON.stringify(text)}: expected an http or https URL`);
}
