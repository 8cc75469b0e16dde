import { match, strictEqual as equal } from "node:assert/strict";
import { refuseOldDeno } from "../../lib/commands/check_deno.ts";

Deno.test("refuseOldDeno() refuses a version that was never tried, with the remedy", () => {
  for (const version of ["1.46.3", "2.0.0", "2.8.3"]) {
    match(
      refuseOldDeno(version)!,
      /needs Deno 2\.9 or later, and this is \S+\. Run: npx -y deno@2/,
    );
  }
  for (const version of ["2.9.0", "2.9.6-rc.1", "2.10.0", "3.0.0"]) {
    equal(refuseOldDeno(version), null);
  }
});
