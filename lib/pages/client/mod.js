/* @ts-self-types="../../client/mod.ts" */
// @ts-nocheck: built from lib/client/mod.ts by "deno task build".

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
import "./stream_parser.js";
import "./subscribe.js";
import "./system_clock.js";
import "./transport.js";

export { SubscribeError } from "./errors.js";
export { subscribe } from "./subscribe.js";
