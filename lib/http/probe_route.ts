/**
 * The answer to a proxy probe.
 *
 * @module
 */

import { type AppContext, parseOrThrow } from "./context.ts";
import { PROBE_LINES, type ProxyProbes, QUIET_PROBE_LINES } from "./proxy_probes.ts";
import { readParameters } from "./query.ts";
import { probeQuery } from "./schemas.ts";
import { streamHeaders } from "./stream_headers.ts";

/** Default interval between two lines of a probe, in milliseconds. */
const PROBE_EVERY_MS = 500;

/** Opens the probe that a request asks for. */
export function answerProbe(c: AppContext, probes: ProxyProbes): Response {
  const parameters = readParameters(c, { once: Object.keys(probeQuery.shape) });
  const { every, quiet, bytes, ask, wait } = parseOrThrow(probeQuery, parameters);
  const headers = new Headers(streamHeaders(c));
  if (ask === "0") {
    for (const name of ["X-Accel-Buffering", "Incremental"]) headers.delete(name);
  }
  const schedule = wait === undefined
    ? {
      everyMs: Number(quiet ?? every ?? PROBE_EVERY_MS),
      lines: quiet === undefined ? PROBE_LINES : QUIET_PROBE_LINES,
    }
    : { everyMs: Number(wait) * 1000, isPoll: true };
  const stream = c.req.method === "HEAD"
    ? null
    : probes.open({ ...schedule, bytes: Number(bytes ?? 0), completed: c.env.completed });
  return new Response(stream, { headers });
}
