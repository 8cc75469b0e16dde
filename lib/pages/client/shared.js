/* @ts-self-types="../../client/shared.ts" */
// @ts-nocheck: built from lib/client/shared.ts by "deno task build".

import { SharedConnection } from "./shared_connection.js";
import { findObstacle, platformOf } from "./shared_platform.js";

export { SubscribeError } from "./errors.js";

export function subscribe(
  url,
  options,
) {
  // The client itself tells a program without types what is missing.
  const given = options ?? {};
  return new SharedConnection(url, given, platformOf(given), findObstacle(given));
}
