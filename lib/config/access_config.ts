/**
 * The settings that say who may publish and who may listen.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";

/** Who may do what. */
export interface AccessConfig {
  /** The tokens that publishers may have, each for all pipelines. */
  readonly publishTokens: readonly string[];
  /** What JSON Web Tokens are signed with (HS256), or `null`. */
  readonly tokenSecret: string | null;
  /** Where the public keys are that JSON Web Tokens are signed with, or `null`. */
  readonly jwksUrl: string | null;
  /** Whether everyone may listen, or who has a token. */
  readonly subscribe: "public" | "token";
  /** How long a ticket waits for its first use, in milliseconds. */
  readonly ticketMs: number;
  /** How long the session may last that a ticket opens, in milliseconds. */
  readonly sessionMs: number;
  /** Whether no secret is set: then everyone who reaches the service may do everything. */
  readonly isOpen: boolean;
}

/** The names of these settings, as environment variables. */
export const ACCESS_SETTING_NAMES = [
  "RUNNEL_PUBLISH_TOKENS",
  "RUNNEL_TOKEN_SECRET",
  "RUNNEL_JWKS_URL",
  "RUNNEL_SUBSCRIBE",
  "RUNNEL_TICKET_MS",
  "RUNNEL_SESSION_MS",
] as const;

/** The name of one of these settings. */
export type AccessSettingName = typeof ACCESS_SETTING_NAMES[number];

/** Shorter ones can be guessed. */
const MIN_TOKEN_LENGTH = 16;

/** What HS256 asks for: 256 bits (RFC 7518, section 3.2). */
const MIN_SECRET_LENGTH = 32;

/**
 * Validates these settings.
 *
 * @param settings What is set.
 * @param integer Reads a setting that is a whole number.
 * @throws {RunnelError} `invalid-setting`, naming the setting and what it takes,
 *   never what it got: it is a secret.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(readAccessConfig({}, (_name, fallback) => fallback).isOpen, true);
 * ```
 */
export function readAccessConfig(
  settings: Partial<Record<AccessSettingName, string | undefined>>,
  integer: (name: AccessSettingName, fallback: number, min: number, max: number) => number,
): AccessConfig {
  const publishTokens = readTokens(settings.RUNNEL_PUBLISH_TOKENS);
  const tokenSecret = settings.RUNNEL_TOKEN_SECRET || null;
  if (tokenSecret && tokenSecret.length < MIN_SECRET_LENGTH) {
    throw invalid("RUNNEL_TOKEN_SECRET", `at least ${MIN_SECRET_LENGTH} characters`);
  }
  const jwksUrl = settings.RUNNEL_JWKS_URL || null;
  if (jwksUrl && !(URL.canParse(jwksUrl) && /^https?:$/.test(new URL(jwksUrl).protocol))) {
    throw invalid("RUNNEL_JWKS_URL", "an http or https URL");
  }
  const subscribe = settings.RUNNEL_SUBSCRIBE || "public";
  if (subscribe !== "public" && subscribe !== "token") {
    throw invalid("RUNNEL_SUBSCRIBE", "public or token");
  }
  const isOpen = publishTokens.length === 0 && !tokenSecret && !jwksUrl;
  if (isOpen && subscribe === "token") {
    throw new RunnelError(
      "invalid-setting",
      "Cannot start: RUNNEL_SUBSCRIBE is token, but nobody can have one. " +
        "Set RUNNEL_TOKEN_SECRET or RUNNEL_JWKS_URL, or RUNNEL_PUBLISH_TOKENS for tickets alone",
    );
  }
  return Object.freeze<AccessConfig>({
    publishTokens,
    tokenSecret,
    jwksUrl,
    subscribe,
    ticketMs: integer("RUNNEL_TICKET_MS", 300_000, 1000, 86_400_000),
    sessionMs: integer("RUNNEL_SESSION_MS", 43_200_000, 1000, 2_147_483_647),
    isOpen,
  });
}

function readTokens(text: string | undefined): readonly string[] {
  const tokens = (text ?? "").split(",").map((token) => token.trim()).filter((token) => token);
  if (!tokens.every((token) => /^[!-~]+$/.test(token) && token.length >= MIN_TOKEN_LENGTH)) {
    throw invalid(
      "RUNNEL_PUBLISH_TOKENS",
      `tokens of at least ${MIN_TOKEN_LENGTH} visible ASCII characters, with commas between them`,
    );
  }
  return Object.freeze(tokens);
}

function invalid(name: AccessSettingName, expected: string): RunnelError {
  return new RunnelError("invalid-setting", `Cannot start: ${name}: expected ${expected}`);
}
