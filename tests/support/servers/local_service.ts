/**
 * A service in this process, on a real port: for clients that are no part of it.
 *
 * @module
 */

import type { Settings } from "../../../lib/config/config.ts";
import { FakeClock } from "../fakes/clock.ts";
import { startService, type TestService } from "../service.ts";
import { type LocalServer, serveLocally } from "./local_server.ts";

/** A service that a test disposes of. */
export interface LocalService extends AsyncDisposable {
  service: TestService;
  url: string;
}

/** What may stand before a service: it answers a request itself, or leaves it to the service. */
export type Guard = (request: Request) => Response | null;

/** Starts a service with a clock that stands a minute behind. */
export async function startLocalService(
  settings: Settings = {},
  guard: Guard = () => null,
): Promise<LocalService> {
  const clock = new FakeClock(Date.now() - 60_000);
  const service = await startService({ settings, clock });
  const server: LocalServer = serveLocally(async (request, info) => {
    return guard(request) ?? await service.fetch(request, info);
  });
  return {
    service,
    url: server.url,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}
