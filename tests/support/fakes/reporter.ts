/**
 * Reporters that keep what they are told.
 *
 * @module
 */

import { describeCause } from "../../../lib/base/log_text.ts";
import type { Reporter } from "../../../lib/base/report.ts";

/** Collects warnings and errors, with their causes if a test compares those. */
export function collectReports(reports: string[], { withCauses = false } = {}): Reporter {
  return (message, cause, { level } = {}) => {
    if (level === "debug" || level === "info") return;
    reports.push(withCauses ? `${message}: ${describeCause(cause)}` : message);
  };
}
