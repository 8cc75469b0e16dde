/**
 * The package `playwright-core`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export * from "npm:playwright-core@^1.65.1";
