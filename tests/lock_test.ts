import { strictEqual as equal } from "node:assert/strict";
import { createServiceLock, SERVICE_LOCK } from "./support/packages/service_lock.ts";

Deno.test("deno.lock is the part of tests/deno.lock that the service needs", async () => {
  const help = "Run: deno run -A tests/support/packages/service_lock.ts";
  equal(await Deno.readTextFile(SERVICE_LOCK), await createServiceLock(), help);
});
