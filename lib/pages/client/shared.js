/* @ts-self-types="../../client/shared.ts" */
// @ts-nocheck: built from lib/client/shared.ts by "deno task build".

// All modules, for a browser to request them at once.
import "./attempt.js";
import "./back_off.js";
import "./call_back.js";
import "./client_event.js";
import "./connection.js";
import "./credentials.js";
import "./errors.js";
import "./request.js";
import "./resume_store.js";
import "./shared_body.js";
import "./shared_connection.js";
import "./shared_encoder.js";
import "./shared_fetch.js";
import "./shared_link.js";
import "./shared_links.js";
import "./shared_membership.js";
import "./shared_message_checks.js";
import "./shared_messages.js";
import "./shared_piece_reader.js";
import "./shared_platform.js";
import "./shared_positions.js";
import "./shared_progress.js";
import "./shared_turns.js";
import "./stream_parser.js";
import "./subscribe.js";
import "./system_clock.js";
import "./transport.js";

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
