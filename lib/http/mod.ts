/**
 * Routes, validation, problem documents and OpenAPI.
 *
 * @module
 */

export { createApp } from "./app.ts";
export type { RequestInfo } from "./context.ts";
