/**
 * The surroundings of a service, in one object that is passed whole: a test
 * replaces them, and a further part of them changes no constructor.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";
import { createReporter, type Reporter } from "./report.ts";

/** Clock, random numbers and reporter of a service. */
export interface Runtime {
  /** Clock used for timers and deadlines. */
  clock: Clock;
  /** Returns a random number from 0 up to 1, for jitter. */
  random: () => number;
  /** Called with errors that no caller and no client receives. */
  report: Reporter;
}

/** Runtime of the system: its clock, `Math.random`, and reports to standard error. */
export const systemRuntime: Runtime = {
  clock: systemClock,
  random: Math.random,
  report: createReporter(systemClock, (line) => console.error(line)),
};
