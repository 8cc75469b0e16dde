/**
 * Refuses a Deno that is too old before it reads what it does not understand:
 * the first half of `deno task start`.
 *
 * @module
 */

/** Returns why a version of Deno is too old, or `null` if it is not. */
export function refuseOldDeno(version: string): string | null {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 2 || major === 2 && minor >= 9) return null;
  return `Cannot start: Runnel needs Deno 2.9 or later, and this is ${version}. ` +
    "Run: npx -y deno@2.9 task start";
}

if (import.meta.main) {
  const refusal = refuseOldDeno(Deno.version.deno);
  if (refusal !== null) {
    console.error(refusal);
    Deno.exit(1);
  }
}
