/**
 * {@linkcode serveService} under the name that the tests of the pages use.
 *
 * @module
 */

import type { Settings } from "../../../lib/config/config.ts";
import { FakeClock } from "../fakes/clock.ts";
import type { TestService } from "../service.ts";
import { type Guard, serveService } from "./serve_service.ts";

/** A service that a test disposes of. */
export interface LocalService extends AsyncDisposable {
  service: TestService;
  url: string;
}

/** Starts a service whose clock is a minute behind. */
export async function startLocalService(
  settings: Settings = {},
  guard: Guard = () => null,
): Promise<LocalService> {
  const clock = new FakeClock(Date.now() - 60_000);
  const service = await serveService({ settings, guard, clock });
  return {
    service,
    url: service.url,
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
    },
  };
}
