/**
 * The routes that a client most likely meant when it asked for one that does not exist.
 *
 * @module
 */

import { findNearest } from "../base/mod.ts";
import type { Routes } from "./openapi.ts";

/** Returns the routes whose first segment is that of a path or near it, such as `POST /ingest`. */
export function findNearRoutes(path: string, routes: Routes): string[] {
  const all = Object.values(routes).map(({ method, path }) => ({
    first: path.split("/")[1]!,
    name: `${method.toUpperCase()} ${path}`,
  }));
  // The target of a CONNECT has no path.
  const first = findNearest(path.split("/")[1] ?? "", all.map(({ first }) => first));
  return all.filter((route) => first && route.first === first).map(({ name }) => name);
}
