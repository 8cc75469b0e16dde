/**
 * Repetitions of the tests of random actions: few in `deno task test`, which ends soon, and many,
 * with other seeds, in `deno task test:models`.
 *
 * @module
 */

/** Environment variables that `deno task test:models` sets. */
export const VARIABLES = { factor: "TEST_RUNS_FACTOR", seed: "TEST_RUNS_SEED" } as const;

const factor = Number(Deno.env.get(VARIABLES.factor) ?? 1);
const seed = Deno.env.get(VARIABLES.seed);

/**
 * Parameters of a property of `fast-check`.
 *
 * @param count Number of runs in `deno task test`: as many as find each known fault.
 */
export function repetitions(count: number): { numRuns: number; seed?: number } {
  return { numRuns: count * factor, ...(seed !== undefined && { seed: Number(seed) }) };
}

/**
 * Seeds of a test that is registered once for each.
 *
 * @param count Number of seeds in `deno task test`.
 */
export function seeds(count: number): number[] {
  return Array.from({ length: count * factor }, (_, index) => Number(seed ?? 0) + index + 1);
}
