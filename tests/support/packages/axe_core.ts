/**
 * The package `axe-core`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export { default } from "npm:axe-core@^4.14.1";
