/**
 * The package `yaml`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export * from "npm:yaml@^2.9.1";
