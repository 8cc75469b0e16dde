/**
 * The header `traceparent`, by which a publisher's trace travels with its events.
 *
 * @see {@link https://www.w3.org/TR/trace-context/#traceparent-header}
 * @module
 */

/** Version, trace ID, parent ID and flags. A later version may have more after them. */
const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Returns the header of version 00 that a header stands for.
 *
 * @param header The header; `undefined` without one.
 * @returns `undefined` if it is missing or invalid: then it is ignored, as the standard
 *   asks for.
 */
export function readTraceParent(header: string | undefined): string | undefined {
  const [, version, trace, parent, flags, rest] = FORM.exec(header ?? "") ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) {
    return undefined;
  }
  if (/^0+$/.test(trace!) || /^0+$/.test(parent!)) return undefined;
  return `00-${trace}-${parent}-${flags}`;
}
