/**
 * Settings for access: who may publish, and who may subscribe.
 *
 * @module
 */

import { isLoopback, RunnelError } from "../base/mod.ts";
import {
  type Integer,
  integer,
  type Names,
  readAll,
  type Setting,
  setting,
  type Values,
} from "./setting.ts";

/** Minimum length of a publisher's token, in characters. Shorter ones can be guessed. */
const MIN_TOKEN_LENGTH = 16;

/**
 * Maximum length of a token, in characters: a longer one is invalid without being
 * parsed, which takes a stranger's JSON 15 to 48 ms of everybody's time at 44 KB.
 */
export const MAX_TOKEN_LENGTH = 8192;

/** Minimum length of a secret for HS256: 256 bits (RFC 7518, section 3.2). */
const MIN_SECRET_LENGTH = 32;

/** Maximum of the time limit for the first use of a ticket, in milliseconds. */
export const MAX_TICKET_MS = 86_400_000;

/** Maximum of the maximum duration of a session, in milliseconds. */
export const MAX_SESSION_MS = 2_147_483_647;

/** The settings for access, in the order of their reference. */
export const ACCESS_SETTINGS = {
  publishTokens: setting("RUNNEL_PUBLISH_TOKENS", {
    default: Object.freeze<string[]>([]),
    accepts:
      `tokens of ${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} visible ASCII characters, with commas between them`,
    doc: "Tokens of publishers. Each is valid for all pipelines.",
    isSecret: true,
  }, parseTokens) as Setting<"RUNNEL_PUBLISH_TOKENS", readonly string[]>,
  tokenSecret: setting("RUNNEL_TOKEN_SECRET", {
    default: null,
    accepts: `at least ${MIN_SECRET_LENGTH} characters`,
    doc: "Secret that signs JSON Web Tokens (HS256).",
    isSecret: true,
  }, parseSecret) as Setting<"RUNNEL_TOKEN_SECRET", string | null>,
  jwksUrl: setting("RUNNEL_JWKS_URL", {
    default: null,
    accepts: "an https URL, or an http URL of this machine",
    doc: "Location of the public keys that verify JSON Web Tokens.",
    // A URL can contain a password.
    isSecret: true,
  }, parseKeysUrl) as Setting<"RUNNEL_JWKS_URL", string | null>,
  tokenAudience: setting("RUNNEL_TOKEN_AUDIENCE", {
    default: null,
    accepts: "a text without spaces around it",
    doc: "Audience (`aud`) that a JSON Web Token must name.",
  }, parseName) as Setting<"RUNNEL_TOKEN_AUDIENCE", string | null>,
  tokenIssuer: setting("RUNNEL_TOKEN_ISSUER", {
    default: null,
    accepts: "a text without spaces around it",
    doc: "Issuer (`iss`) that a JSON Web Token must name.",
  }, parseName) as Setting<"RUNNEL_TOKEN_ISSUER", string | null>,
  tokenExpiry: setting("RUNNEL_TOKEN_EXPIRY", {
    default: "required",
    accepts: "`required` or `optional`",
    doc: "Whether a JSON Web Token must have an expiry (`exp`). One without is valid forever.",
  }, parseExpiry) as Setting<"RUNNEL_TOKEN_EXPIRY", "required" | "optional">,
  subscribe: setting("RUNNEL_SUBSCRIBE", {
    default: "public",
    accepts: "`public` or `token`",
    doc:
      "Access to streams: `public` for everyone, `token` for subscribers with a token or ticket.",
    // Because of its value `token`, an operator may set a token here by mistake.
    isSecret: true,
  }, parseSubscribe) as Setting<"RUNNEL_SUBSCRIBE", "public" | "token">,
  metricsToken: setting("RUNNEL_METRICS_TOKEN", {
    default: null,
    accepts: `${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} visible ASCII characters`,
    doc: "Token for `GET /metrics`. Without it, only this machine gets them, not through a proxy.",
    isSecret: true,
  }, parseToken) as Setting<"RUNNEL_METRICS_TOKEN", string | null>,
  ticketMs: integer("RUNNEL_TICKET_MS", {
    default: 300_000,
    min: 1000,
    max: MAX_TICKET_MS,
    unit: "ms",
    doc: "Time limit for the first use of a ticket.",
  }) as Integer<"RUNNEL_TICKET_MS">,
  sessionMs: integer("RUNNEL_SESSION_MS", {
    default: 43_200_000,
    min: 1000,
    max: MAX_SESSION_MS,
    unit: "ms",
    doc: "Maximum duration of the session that a ticket opens.",
  }) as Integer<"RUNNEL_SESSION_MS">,
  maxTickets: integer("RUNNEL_MAX_TICKETS", {
    default: 100_000,
    min: 1,
    max: 100_000_000,
    unit: "tickets",
    doc: "Maximum number of tickets of each JSON Web Token per isolate, restored evenly over " +
      "the time that a ticket lasts. Beyond it, a request gets 429.",
  }) as Integer<"RUNNEL_MAX_TICKETS">,
};

/** The configuration of access. */
export interface AccessConfig extends Values<typeof ACCESS_SETTINGS> {
  /** Whether no secret is set. Then everyone who reaches the service may do everything. */
  readonly allowsAnonymous: boolean;
}

/** The settings for access as they are found: text, or nothing for the default. */
export type AccessSettings = Partial<Record<Names<typeof ACCESS_SETTINGS>, string | undefined>>;

/**
 * Reads and validates the settings for access.
 *
 * @throws {RunnelError} `invalid-setting`, with the name and the accepted values,
 *   never with a secret value.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * equal(readAccessConfig({}).allowsAnonymous, true);
 * ```
 */
export function readAccessConfig(settings: AccessSettings): AccessConfig {
  const values = readAll(ACCESS_SETTINGS, settings);
  const { publishTokens, tokenSecret, jwksUrl } = values;
  const allowsAnonymous = publishTokens.length === 0 && !tokenSecret && !jwksUrl;
  const config = Object.freeze<AccessConfig>({ ...values, allowsAnonymous });
  checkTokensExist(config);
  return config;
}

/** Refuses to ask subscribers for tokens that nobody can have. */
function checkTokensExist({ allowsAnonymous, subscribe }: AccessConfig): void {
  if (!allowsAnonymous || subscribe !== "token") return;
  throw new RunnelError(
    "invalid-setting",
    "Cannot start: RUNNEL_SUBSCRIBE is token, but nobody can have one. " +
      "Set RUNNEL_TOKEN_SECRET or RUNNEL_JWKS_URL, or RUNNEL_PUBLISH_TOKENS for tickets alone",
  );
}

function parseTokens(text: string): readonly string[] | null {
  const tokens = text.split(",").map((token) => token.trim()).filter((token) => token);
  return tokens.every((token) => parseToken(token) !== null) ? Object.freeze(tokens) : null;
}

function parseToken(token: string): string | null {
  const isValid = /^[!-~]+$/.test(token) && token.length >= MIN_TOKEN_LENGTH &&
    token.length <= MAX_TOKEN_LENGTH;
  return isValid ? token : null;
}

function parseSecret(text: string): string | null {
  return text.length >= MIN_SECRET_LENGTH ? text : null;
}

/** Over plain http, anyone on the way could replace the keys, and so sign every token. */
function parseKeysUrl(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || protocol === "http:" && isLoopback(hostname) ? text : null;
}

function parseName(text: string): string | null {
  return text.trim() === text ? text : null;
}

function parseExpiry(text: string): "required" | "optional" | null {
  return text === "required" || text === "optional" ? text : null;
}

function parseSubscribe(text: string): "public" | "token" | null {
  return text === "public" || text === "token" ? text : null;
}
