/**
 * The lines that an operator reads at the start of an instance.
 *
 * @module
 */

import { redact } from "../base/mod.ts";
import { ACCESS_SETTINGS } from "./access_config.ts";
import type { Config } from "./config.ts";
import type { Environment } from "./setting.ts";
import { SETTINGS } from "./settings.ts";

/** Stands for a value that must not be shown. */
const SECRET = "…";

/**
 * Describes a configuration by a few facts: where the log is, who may do what, and which
 * settings are not left to their defaults.
 *
 * @param environment Environment variables that the configuration was read from.
 */
export function describeConfig(
  { kv, isolates, access }: Config,
  environment: Environment,
): Record<string, string> {
  const settings = describeSettings(environment);
  return {
    log: redact(kv ?? "the store of the platform"),
    isolates: String(isolates),
    publish: describePublishers(access),
    subscribe: access.subscribe === "public" ? "everyone" : "holders of a token or a ticket",
    ...settings !== "" && { settings },
  };
}

/** Lists the settings that are set, with the values of those that are not secret. */
function describeSettings(environment: Environment): string {
  return [...Object.values(SETTINGS), ...Object.values(ACCESS_SETTINGS)]
    .filter(({ name }) => environment[name])
    .map(({ name, isSecret }) => `${name}=${isSecret ? SECRET : redact(environment[name]!)}`)
    .join(" ");
}

function describePublishers(
  { publishTokens, tokenSecret, jwksUrl, allowsAnonymous }: Config["access"],
): string {
  if (allowsAnonymous) {
    return "everyone on this machine, because no secret is set: " +
      "RUNNEL_PUBLISH_TOKENS or RUNNEL_TOKEN_SECRET";
  }
  const holders = [
    ...publishTokens.length > 0 ? ["a token of RUNNEL_PUBLISH_TOKENS"] : [],
    ...tokenSecret ? ["a JSON Web Token signed with RUNNEL_TOKEN_SECRET"] : [],
    ...jwksUrl ? [`a JSON Web Token signed with a key of ${new URL(jwksUrl).host}`] : [],
  ];
  return `holders of ${holders.join(", or of ")}`;
}
