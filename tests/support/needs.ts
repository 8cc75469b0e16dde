/**
 * Tests that need more than Deno, ignored where it is missing.
 *
 * @module
 */

/** Something that a test needs. */
export interface Need {
  isThere: boolean;
  /** The line that installs it. */
  install: string;
}

/** Registers a test that is ignored, with the lines that help, where something is missing. */
export function testThatNeeds(
  needs: readonly Need[],
  name: string,
  fn: () => Promise<void>,
): void {
  const missing = needs.filter(({ isThere }) => !isThere);
  const help = missing.map(({ install }) => ` (needs: ${install})`).join("");
  Deno.test({ name: name + help, ignore: missing.length > 0, fn });
}
