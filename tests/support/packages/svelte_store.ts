/**
 * The package `svelte/store`, for tests alone: what `deno.json` names is downloaded at the
 * first start of the service.
 *
 * @module
 */

export * from "npm:svelte@^5.57.3/store";
