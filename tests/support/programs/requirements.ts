/**
 * Tests that need more than Deno, ignored where it is missing.
 *
 * @module
 */

/** A program that a test requires. */
export interface Requirement {
  isInstalled: boolean;
  /** The line that installs it. */
  install: string;
}

/** Registers a test; if a requirement is missing, it is ignored, with the line that installs it. */
export function testWithRequirements(
  needs: readonly Requirement[],
  name: string,
  fn: () => Promise<void>,
): void {
  const missing = needs.filter(({ isInstalled }) => !isInstalled);
  const help = missing.map(({ install }) => ` (needs: ${install})`).join("");
  Deno.test({ name: name + help, ignore: missing.length > 0, fn });
}
