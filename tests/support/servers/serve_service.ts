/**
 * A service of this process on a real port, for clients that are not part of it.
 *
 * @module
 */

import type { Clock } from "../../../lib/base/clock.ts";
import type { KeyPair } from "../../../lib/service/certificate.ts";
import { drain } from "../drain.ts";
import type { FakeClock } from "../fakes/clock.ts";
import { startService, type StartServiceOptions, type TestService } from "../service.ts";
import { eventually } from "../wait.ts";
import { type LocalServer, serveLocally } from "./local_server.ts";

/** Called with each request first: answers it, or returns `null` to leave it to the service. */
export type Guard = (request: Request) => Response | null;

/** Options for {@linkcode serveService}. */
export interface ServeServiceOptions extends StartServiceOptions {
  guard?: Guard;
  /** Certificate for HTTPS. The default is HTTP. */
  pair?: KeyPair | null;
}

/** A service on a port. Disposing of it cuts its connections. */
export interface ServedTestService<C extends Clock = FakeClock> extends TestService<C> {
  readonly url: string;
  readonly port: number;
  /** Number of requests in flight, up to the headers of their responses. */
  readonly handling: number;
  /** Cuts all connections, and serves again at the same address after `meanwhile`. */
  cut: (meanwhile: () => Promise<unknown>) => Promise<void>;
}

/** Starts a service and serves it on a free port. */
export function serveService<C extends Clock>(
  options: ServeServiceOptions & { clock: C },
): Promise<ServedTestService<C>>;
export function serveService(options?: ServeServiceOptions): Promise<ServedTestService>;
export async function serveService(
  { guard = () => null, pair = null, ...options }: ServeServiceOptions = {},
): Promise<ServedTestService<Clock>> {
  const service: TestService<Clock> = await startService(options);
  const serve = (port: number): LocalServer =>
    serveLocally(
      async (request, info) => guard(request) ?? await service.fetch(request, info),
      port,
      pair,
    );
  let server = serve(0);
  const { port, url } = server;
  return {
    ...service,
    url,
    port,
    get handling() {
      return server.handling;
    },
    async cut(meanwhile) {
      await server[Symbol.asyncDispose]();
      await meanwhile();
      server = serve(port);
    },
    async [Symbol.asyncDispose]() {
      await drain(service.hub);
      await server[Symbol.asyncDispose]();
      // A browser that is closed may send a last request.
      await eventually(
        "no request is in flight",
        () => server.handling === 0 && service.hub.stats.histories === 0,
      );
      await service.log.close();
    },
  };
}
