/**
 * The package `eventsource`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export * from "npm:eventsource@^5.1.5";
