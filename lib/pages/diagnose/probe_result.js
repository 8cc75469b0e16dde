// @ts-check
/**
 * The result of a probe.
 *
 * @module
 */

/**
 * A line as the service sends it.
 *
 * @typedef {object} SentLine
 * @property {number} line Number of the line, from 1.
 * @property {number} of Number of lines in the probe.
 * @property {number} sent When it was sent, in milliseconds after the first line, by the clock of
 *   the service.
 */

/**
 * A line that arrived.
 *
 * @typedef {SentLine & { at: number }} ProbeLine `at` is when it arrived, in milliseconds after the
 *   request, by the clock of this browser.
 */

/**
 * Result of a probe.
 *
 * @typedef {object} ProbeResult
 * @property {number} everyMs Time between two lines, in milliseconds.
 * @property {number} bytes Size of the filler in each line, in bytes.
 * @property {ProbeLine[]} lines The lines that arrived.
 * @property {number} endedMs When the answer ended, in milliseconds after the request.
 * @property {"unreachable" | "refused" | "changed" | "cut" | "silent" | null} failure
 *   What was wrong with the answer.
 * @property {number} status Status code; 0 without an answer.
 * @property {string} detail The service's explanation of a refusal.
 * @property {string} type Content type.
 * @property {string} encoding Content encoding.
 * @property {string} proxies Names in the answer's headers of the servers that it passed.
 * @property {string} protocol HTTP version, as ALPN names it.
 */

/**
 * Times that small answers take.
 *
 * @typedef {object} RoundTrip
 * @property {number} fastestMs The shortest of them, in milliseconds.
 * @property {number} jitterMs Difference of the longest and the shortest, in milliseconds.
 */

export {};
