/**
 * The lines that an operator reads at the start of an instance.
 *
 * @module
 */

import type { Config } from "./config.ts";

/** Describes a configuration in a few lines: where the log is, and who may do what. */
export function describeConfig({ kv, isolates, access }: Config): string {
  const lines = [
    ["log", kv ?? "the store of the platform"],
    ["isolates", String(isolates)],
    ["publish", describePublishers(access)],
    ["subscribe", access.subscribe === "public" ? "everyone" : "holders of a token or a ticket"],
  ];
  return lines.map(([name, value]) => `  ${name!.padEnd(10)}${value}`).join("\n");
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
