/**
 * The package `fast-check`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export { default } from "npm:fast-check@^4.10.2";
export * from "npm:fast-check@^4.10.2";
