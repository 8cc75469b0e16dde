/**
 * Authentication of clients by the tokens in their headers.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { RunnelError } from "../base/mod.ts";
import { MAX_TOKEN_LENGTH } from "../config/mod.ts";
import { type Bearer, InvalidToken } from "./bearer.ts";
import type { RateLimiter } from "./rate_limiter.ts";
import type { TokenVerifier } from "./token_verifier.ts";

/** Matches the cookie that may contain a subscriber's token. */
const COOKIE = /(?:^|;\s*)runnel_token=([^;\s]+)/;

/** Client of a request. */
export interface Client {
  /** Headers of the request. */
  headers: Headers;
  /** Address by which it is counted; `null` if it is not. */
  address: string | null;
}

/** Options for {@linkcode Authenticator}. */
export interface AuthenticatorOptions {
  /** Verifies tokens. */
  verifier: TokenVerifier;
  /** Counts the invalid tokens of each address. */
  invalidTokens: RateLimiter;
}

/** Authenticates clients, each address of which may send few invalid tokens. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /**
   * Verifies the token of a client.
   *
   * @returns The bearer of the token.
   * @throws {RunnelError} `unauthorized`, `too-many-requests`, `keys-unavailable`.
   */
  async verify(
    token: string | undefined,
    { address }: Pick<Client, "address">,
  ): Promise<Bearer> {
    if (token === undefined) {
      throw new RunnelError(
        "unauthorized",
        "Cannot authenticate: the request has no token. " +
          "Send one in the header Authorization: Bearer …",
      );
    }
    const { verifier, invalidTokens } = this.#options;
    // Before it is verified, so that those that arrive meanwhile are counted too.
    const window = address === null ? 0 : invalidTokens.count(address);
    try {
      if (token.length > MAX_TOKEN_LENGTH) {
        throw new InvalidToken(`it has more than ${MAX_TOKEN_LENGTH} characters`);
      }
      const bearer = await verifier.verify(token);
      if (address !== null) invalidTokens.discount(address, window);
      return bearer;
    } catch (error) {
      if (!(error instanceof InvalidToken)) throw error;
      throw new RunnelError(
        "unauthorized",
        `Cannot authenticate: the token is invalid: ${error.message}. Send another one`,
      );
    }
  }

  /**
   * Verifies that a client sent the token for the metrics.
   *
   * @throws {RunnelError} `unauthorized`, `too-many-requests`.
   */
  verifyMetricsToken(metricsToken: string, { headers, address }: Client): void {
    const { invalidTokens } = this.#options;
    const window = address === null ? 0 : invalidTokens.count(address);
    const token = readAuthorization(headers);
    if (token === undefined || !isSameText(token, metricsToken)) {
      throw new RunnelError(
        "unauthorized",
        "Cannot read the metrics: the token is missing or invalid. " +
          "Send that of RUNNEL_METRICS_TOKEN in the header Authorization: Bearer …",
      );
    }
    if (address !== null) invalidTokens.discount(address, window);
  }
}

/** Returns the token in the header `Authorization`, if there is one. */
export function readAuthorization(headers: Headers): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.get("Authorization") ?? "")?.[1];
}

/** Returns the token in the cookie of a subscriber, if there is one. */
export function readCookie(headers: Headers): string | undefined {
  return COOKIE.exec(headers.get("Cookie") ?? "")?.[1];
}

/** Compares two texts in a time that tells nothing of where they differ. */
function isSameText(text: string, other: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(text), hash(other));
}
