/**
 * Routes, validation, problem documents and OpenAPI.
 *
 * @module
 */

export { type App, createApp } from "./app.ts";
export type { BodyRoom } from "./body_room.ts";
export type { ProbeRequest, ProxyProbes } from "./proxy_probes.ts";
export type { RequestInfo } from "./request_env.ts";
