/**
 * What a service takes from its surroundings, in one object that is passed
 * whole: a test replaces it, and another part of it changes no constructor.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";
import { createReport, type Report } from "./report.ts";

/** Clock, random numbers and reporter of a service. */
export interface Runtime {
  /** Clock used for timers and deadlines. */
  clock: Clock;
  /** Returns a random number from 0 up to 1, for jitter. */
  random: () => number;
  /** Called with errors that no caller and no client receives. */
  report: Report;
}

/** Runtime of the system: its clock, `Math.random`, and reports to standard error. */
export const systemRuntime: Runtime = {
  clock: systemClock,
  random: Math.random,
  report: createReport(systemClock, (line) => console.error(line)),
};
