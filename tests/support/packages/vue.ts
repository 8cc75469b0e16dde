/**
 * The package `vue`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export * from "npm:vue@^3.5.45";
