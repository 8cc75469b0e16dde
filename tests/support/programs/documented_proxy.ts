/**
 * Proxies with the settings of `lib/service/proxies/README.md`: only addresses, files and, on
 * demand, timeouts are replaced.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { findReadme } from "../readme.ts";
import { eventually } from "../wait.ts";
import { type Certificate, Proxy, type ProxyCommand } from "./proxy.ts";
import type { Requirement } from "./requirements.ts";

/** The page. */
export const PAGE = findReadme("lib/service/proxies/README.md");

/** Address of the service in the settings. */
export const SERVICE = "127.0.0.1:8000";

/** Name of the site in the settings. */
export const SITE = "events.example.com";

/** Place of a proxy in a test. */
export interface Place {
  port: number;
  folder: string;
  /** Address of the service. */
  service: URL;
  certificate: Certificate;
}

/** Time after which a proxy that starts is asked again, in milliseconds. */
const TRY_MS = 2000;

/** A proxy whose settings are documented. */
export interface DocumentedProxy {
  name: string;
  needs: Requirement;
  /** Scheme that it says clients use; `null` if it leaves that to a proxy in front of it. */
  scheme: "https" | "http" | null;
  /** Returns the settings as they stand in the documentation. */
  settings: () => string;
  /** Fits settings to a place. */
  configure: (settings: string, place: Place) => ProxyCommand;
}

/** Options for {@linkcode startProxy}. */
export interface StartProxyOptions {
  certificate: Certificate;
  /** Address of the service. */
  url: string;
  /** Changes the settings, for what takes too long in a test. */
  change?: (settings: string) => string;
}

/** Starts a proxy with its documented settings, and waits until it passes requests on. */
export async function startProxy(
  { name, settings, configure }: DocumentedProxy,
  { certificate, url, change = (text) => text }: StartProxyOptions,
): Promise<Proxy> {
  const service = new URL(url);
  const proxy = await Proxy.start((port, folder) =>
    configure(change(settings()), { port, folder, service, certificate })
  );
  using client = Deno.createHttpClient({ caCerts: [certificate.pem] });
  let last: unknown = null;
  try {
    await eventually("the proxy passes requests on", async () => {
      try {
        const signal = AbortSignal.timeout(TRY_MS);
        const response = await fetch(`${proxy.url}/healthz`, { client, signal });
        last = response.status;
        await response.body?.cancel();
        return response.ok;
      } catch (error) {
        last = error;
        return false;
      }
    });
    return proxy;
  } catch (cause) {
    const { state } = proxy;
    await proxy[Symbol.asyncDispose]();
    throw new Error(`${name} answered last with ${last}. ${state}`, { cause });
  }
}

/** Replaces texts, each of which must be there: otherwise the settings are not the documented ones. */
export function fit(settings: string, ...changes: [from: string | RegExp, to: string][]): string {
  return changes.reduce((text, [from, to]) => {
    const changed = text.replaceAll(typeof from === "string" ? from : new RegExp(from, "gm"), to);
    ok(changed !== text, `${from} is not in ${text}`);
    return changed;
  }, settings);
}
