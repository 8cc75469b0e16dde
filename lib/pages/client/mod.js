/* @ts-self-types="../../client/mod.ts" */
// @ts-nocheck: built from lib/client/mod.ts by "deno task build".

export { SubscribeError } from "./errors.js";
export { subscribe } from "./subscribe.js";
