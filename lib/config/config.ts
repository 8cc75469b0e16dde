/**
 * The configuration: from environment variables to a validated object.
 *
 * @module
 */

import { findNearest, isLoopback, RunnelError } from "../base/mod.ts";
import { ACCESS_SETTINGS, type AccessConfig, readAccessConfig } from "./access_config.ts";
import { isOnDeploy, type Names, namesOf, readAll, type Values } from "./setting.ts";
import { SETTINGS } from "./settings.ts";

/** The configuration of an instance. */
export interface Config extends Values<typeof SETTINGS> {
  /** The configuration of access. */
  readonly access: AccessConfig;
}

/** The name of an environment variable that is read. */
export type SettingName =
  | Names<typeof SETTINGS>
  | Names<typeof ACCESS_SETTINGS>
  | "DENO_DEPLOYMENT_ID";

/** The names of all environment variables that are read. */
export const SETTING_NAMES: readonly SettingName[] = [
  ...namesOf(SETTINGS),
  ...namesOf(ACCESS_SETTINGS),
  "DENO_DEPLOYMENT_ID",
];

/** Prefix of the settings, apart from a few that platforms set. */
const PREFIX = "RUNNEL_";

/** Environment variables with the prefix of the settings that other programs read. */
const OTHER_NAMES = ["RUNNEL_TOKEN"];

/** Settings as they are found: text, or nothing for the default. */
export type Settings = Partial<Record<SettingName, string | undefined>>;

/**
 * Reads and validates all settings, and fills in the defaults.
 *
 * @param settings Environment variables. An empty text counts as not set.
 * @returns The configuration, frozen.
 * @throws {RunnelError} `invalid-setting`, with the name, the accepted values,
 *   and the value unless it is secret.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const config = readConfig({ PORT: "8080" });
 * equal(config.port, 8080);
 * equal(config.keepAliveMs, 15_000);
 * ```
 */
export function readConfig(settings: Settings): Config {
  const config = Object.freeze<Config>({
    ...readAll(SETTINGS, settings),
    access: readAccessConfig(settings),
  });
  checkIsolatesShareLog(config);
  checkTls(config, isOnDeploy(settings));
  if (isOnDeploy(settings)) checkStoreOutlivesInstance(config);
  checkOpenServiceIsLocal(config, isOnDeploy(settings));
  return config;
}

/**
 * Reads the settings among all environment variables, and refuses those whose
 * names begin with `RUNNEL_` but are no settings: a misspelt limit would not hold.
 *
 * @param environment All environment variables.
 * @returns The configuration, as {@linkcode readConfig} does.
 * @throws {RunnelError} `invalid-setting`.
 *
 * @example
 * ```ts
 * import { throws } from "node:assert/strict";
 *
 * throws(() => readEnvironment({ RUNNEL_HISTROY: "10" }), /Did you mean RUNNEL_HISTORY\?/);
 * ```
 */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Config {
  for (const name of Object.keys(environment)) {
    const isKnown = [...SETTING_NAMES, ...OTHER_NAMES].includes(name);
    if (isKnown || !name.startsWith(PREFIX)) continue;
    const ends = SETTING_NAMES.filter((name) => name.startsWith(PREFIX))
      .map((name) => name.slice(PREFIX.length));
    const nearest = findNearest(name.slice(PREFIX.length), ends);
    throw new RunnelError(
      "invalid-setting",
      `Cannot start: there is no setting ${name}. ` +
        (nearest ? `Did you mean ${PREFIX}${nearest}?` : "lib/config/README.md lists all settings"),
    );
  }
  return readConfig(environment);
}

function checkIsolatesShareLog({ isolates, kv }: Config): void {
  if (isolates === 1 || kv !== ":memory:") return;
  throw new RunnelError(
    "invalid-setting",
    `Cannot start: RUNNEL_ISOLATES is "${isolates}" while RUNNEL_KV is ":memory:", which ` +
      "is another database in every isolate. Set RUNNEL_KV to a file, or RUNNEL_ISOLATES to 1",
  );
}

function checkTls(config: Config, onDeploy: boolean): void {
  const problem = findTlsProblem(config, onDeploy);
  if (problem) throw new RunnelError("invalid-setting", `Cannot start: ${problem}`);
}

function findTlsProblem(
  { tlsCert, tlsKey, httpRedirectPort, port }: Config,
  onDeploy: boolean,
): string | null {
  if (tlsCert === null && tlsKey === null) {
    return httpRedirectPort === null ? null : "RUNNEL_HTTP_REDIRECT_PORT is set, and no " +
      "certificate to redirect to. Set RUNNEL_TLS_CERT and RUNNEL_TLS_KEY";
  }
  if (onDeploy) {
    return "RUNNEL_TLS_CERT or RUNNEL_TLS_KEY is set, but Deno Deploy answers HTTPS itself. " +
      "Remove both";
  }
  if (tlsCert === null) return "RUNNEL_TLS_KEY is set without RUNNEL_TLS_CERT. Set both";
  if (tlsKey === null) return "RUNNEL_TLS_CERT is set without RUNNEL_TLS_KEY. Set both";
  if (httpRedirectPort !== port) return null;
  return `RUNNEL_HTTP_REDIRECT_PORT and PORT are both ${port}. Set one of them to another port`;
}

/** On Deno Deploy, memory and files are gone with the instance, and each instance has its own. */
function checkStoreOutlivesInstance({ kv }: Config): void {
  if (kv === undefined || /^https?:/.test(kv)) return;
  throw new RunnelError(
    "invalid-setting",
    `Cannot start: RUNNEL_KV is "${kv}", which does not outlive an instance on Deno Deploy. ` +
      "Remove it, to use the Deno KV database of the app, or set the URL of a KV Connect server",
  );
}

function checkOpenServiceIsLocal({ host, access }: Config, onDeploy: boolean): void {
  // The platform leads strangers to an instance, whatever it listens on.
  if (!access.allowsAnonymous || (isLoopback(host) && !onDeploy)) return;
  throw new RunnelError(
    "invalid-setting",
    `Cannot start: HOST is "${host}", where others reach it, and no secret is set. ` +
      "Set RUNNEL_PUBLISH_TOKENS or RUNNEL_TOKEN_SECRET to one" +
      (onDeploy ? "" : ", or HOST to 127.0.0.1"),
  );
}
