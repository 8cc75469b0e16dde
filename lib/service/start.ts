/**
 * Starts the service that a configuration describes: opens the store, and serves
 * by one isolate or by several.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import { prepareStorage } from "../kv/mod.ts";
import { createMetrics, exportMetrics } from "../telemetry/mod.ts";
import { Canary, createIdentity } from "./canary.ts";
import { CertificateFiles } from "./certificate_files.ts";
import { DrainDeadline, EXIT_MS } from "./drain_timetable.ts";
import { HttpsRedirects } from "./https_redirects.ts";
import { startIsolates } from "./isolates.ts";
import { warnOfOpenFiles } from "./open_files.ts";
import { serve, type Server } from "./server.ts";
import { createRuntimeOf } from "./runtime.ts";
import { createService } from "./service.ts";

/** Options for {@linkcode start}. */
export interface StartOptions {
  /** The settings. */
  config: Config;
  /** Called with a line for the operator if an isolate ends by itself: the process must exit. */
  onFailure: (message: string) => void;
  /** The surroundings of the service. @default {createRuntimeOf(config)} */
  runtime?: Runtime;
}

/**
 * Starts a service.
 *
 * @param options The settings, and the handler of a failure.
 * @returns The server. Its drain resolves in time for a platform that kills 5
 *   seconds after its signal, whatever is still open then.
 * @throws {RunnelError} `invalid-setting` if it cannot listen at the address or
 *   cannot use the certificate, `storage-unusable` if the store cannot be opened.
 *
 * @example Usage
 * ```ts
 * import { readConfig } from "../config/mod.ts";
 *
 * const config = readConfig({ RUNNEL_KV: ":memory:", PORT: "0" });
 * const server = await start({ config, onFailure: console.error });
 * await (await fetch(`http://127.0.0.1:${server.address.port}/healthz`)).body?.cancel();
 * await server.drain();
 * ```
 */
export async function start(
  { config, onFailure, runtime = createRuntimeOf(config) }: StartOptions,
): Promise<Server> {
  // Before connections use files. It is told once the service listens. Deno Deploy, whose
  // own store this is then, accepts the connections itself.
  const warning = config.kv === undefined ? null : warnOfOpenFiles(config);
  using stack = new DisposableStack();
  const metrics = createMetrics();
  const certificate = await openCertificate(config, runtime);
  if (certificate) {
    stack.use(certificate);
    metrics.certificateEnd.observe(() => certificate.facts.endsAt / 1000);
  }
  const storage = stack.use(await prepareStorage(config.kv, runtime));
  const redirects = certificate && HttpsRedirects.listen(config, certificate, runtime);
  if (redirects) stack.defer(() => void redirects.close());
  exportMetrics(metrics, config.isolates > 1 ? "0" : null);
  const canary = config.canaryMs > 0 ? createIdentity(storage.remote) : null;
  const server = config.isolates > 1
    ? await startIsolates({ config, storage, runtime, onFailure, metrics, canary, certificate })
    : serve(
      await createService({
        config,
        runtime,
        ...storage,
        upkeep: true,
        watch: storage.remote ? storage.open : null,
        metrics,
        canary,
      }),
      { hostname: config.host, port: config.port },
      certificate,
    );
  if (redirects) redirects.httpsPort = server.address.port;
  const running = canary && new Canary({
    identity: canary,
    address: server.address,
    certificate,
    everyMs: config.canaryMs,
    metrics,
    runtime,
  });
  // From here on the store stays locked until the drain has ended.
  const open = stack.move();
  if (warning) runtime.report(warning);
  return {
    address: server.address,
    async drain() {
      using exit = new DrainDeadline(runtime.clock, EXIT_MS);
      // Its connections end with the others, as those of any client.
      running?.[Symbol.dispose]();
      redirects?.close();
      await exit.wait(server.drain().then(() => open.dispose()));
    },
  };
}

/** Opens the files of the certificate, if the settings name them. */
async function openCertificate(
  { tlsCert, tlsKey }: Config,
  runtime: Runtime,
): Promise<CertificateFiles | null> {
  if (tlsCert === null || tlsKey === null) return null;
  const paths = { cert: tlsCert, key: tlsKey };
  return await CertificateFiles.open({ paths, runtime });
}
