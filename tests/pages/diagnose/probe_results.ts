/**
 * Results of probes, as tests need them.
 *
 * @module
 */

import type { ProbeResult } from "../../../lib/pages/diagnose/probe_result.js";

/** A result whose lines, 500 ms apart, arrive when `arrive` returns. */
export function probeResult(
  arrive: (sent: number, line: number) => number,
  rest: Partial<ProbeResult> = {},
): ProbeResult {
  const lines = Array.from({ length: 10 }, (_, i) => ({
    line: i + 1,
    of: 10,
    sent: i * 500,
    at: arrive(i * 500, i),
  }));
  return {
    everyMs: 500,
    bytes: 0,
    lines,
    endedMs: lines.at(-1)!.at,
    failure: null,
    status: 200,
    detail: "",
    type: "text/event-stream",
    encoding: "",
    proxies: "",
    protocol: "h2",
    ...rest,
  };
}

/** All lines arrive as sent. */
export const AS_SENT: ProbeResult = probeResult((sent) => sent + 40);

/** All lines arrive at the end. */
export const AT_THE_END: ProbeResult = probeResult(() => 4540);

/** Lines but the last arrive about 200 ms late, as measured with HAProxy. */
export const DELAYED: ProbeResult = probeResult((sent, i) =>
  sent + 40 + [206, 210, 206, 216, 206, 204, 208, 204, 206, 0][i]!
);

/** Lines arrive as from a buffer that is flushed every `ms` milliseconds. */
export function flushedEvery(ms: number): ProbeResult {
  return probeResult((sent) => Math.ceil((sent + 1) / ms) * ms);
}

/** All lines arrive as sent, but for those during a stall of 1.5 seconds. */
export const AFTER_A_STALL: ProbeResult = probeResult((sent) =>
  sent >= 1000 && sent < 2500 ? 2500 : sent
);
