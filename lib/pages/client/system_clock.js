/* @ts-self-types="../../client/system_clock.ts" */
// @ts-nocheck: built from lib/client/system_clock.ts by "deno task build".

export const systemClock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
