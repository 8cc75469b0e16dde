/**
 * Tests that require programs beside Deno, and are ignored if one is missing.
 *
 * @module
 */

/** A program that a test requires. */
export interface Requirement {
  isInstalled: boolean;
  /** Command that installs the program. */
  install: string;
}

/** Returns the requirement of a program, which is at a path if it is installed. */
export async function requireProgram(path: string, install: string): Promise<Requirement> {
  return { isInstalled: await Deno.stat(path).then(() => true, () => false), install };
}

/**
 * Registers a test; if a requirement is missing, it is ignored, with the line that installs it.
 *
 * @param options `shares`: whether it uses programs that were started for several tests,
 *   whose ends it must not take for leaks.
 */
export function testWithRequirements(
  needs: readonly Requirement[],
  name: string,
  fn: () => Promise<void>,
  { shares = false }: { shares?: boolean } = {},
): void {
  const missing = needs.filter(({ isInstalled }) => !isInstalled);
  const help = missing.map(({ install }) => ` (needs: ${install})`).join("");
  const sanitizers = shares ? { sanitizeOps: false, sanitizeResources: false } : {};
  Deno.test({ name: name + help, ignore: missing.length > 0, fn, ...sanitizers });
}
