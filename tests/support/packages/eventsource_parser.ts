/**
 * The package `eventsource-parser`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export * from "npm:eventsource-parser@^4.1.3";
