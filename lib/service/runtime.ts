/**
 * The surroundings of a service, as its settings describe them.
 *
 * @module
 */

import { createRuntime, type Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";

/**
 * Creates the runtime of an isolate, whose messages have the level and the format of the
 * settings.
 *
 * @param config Settings of the messages, and the number of isolates.
 * @param isolate Number of the isolate, which its messages name if there are several. 0 is
 *   the one that starts the others; it owns the file of the log, if that is one.
 */
export function createRuntimeOf(
  { log, logFormat, isolates }: Pick<Config, "log" | "logFormat" | "isolates">,
  isolate = 0,
): Runtime {
  const fields = isolates > 1 ? { isolate } : {};
  return createRuntime({ level: log, format: logFormat, fields });
}
