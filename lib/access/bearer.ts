/**
 * The bearer of a token, and the settings by which a token is verified.
 *
 * @module
 */

import type { AccessConfig } from "../config/mod.ts";
import type { Grant } from "./grant.ts";

/** Bearer of a valid token. */
export interface Bearer {
  /** Identifies the token for counting. It cannot be used as a token. */
  readonly id: string;
  /**
   * Identifies the publisher, whose idempotency keys are its own: the subject of the
   * token or, without one, what it may publish. So a renewed token is the same
   * publisher. `undefined` for the operator.
   */
  readonly publisher: string | undefined;
  /** Grant of the token. */
  readonly grant: Grant;
  /** Pipelines that it may issue tickets for, in the form of the grant. */
  readonly tickets: readonly string[];
  /**
   * Fingerprint of the token itself if it is one of the operator, else of the key
   * that it is signed with. It cannot be used as a token.
   */
  readonly credential: string;
}

/** Error of a token that is not valid, with the reason, which its bearer may know. */
export class InvalidToken extends Error {}

/** Settings of tokens. */
export type TokenConfig = Pick<
  AccessConfig,
  "publishTokens" | "tokenSecret" | "jwksUrl" | "tokenAudience" | "tokenIssuer" | "tokenExpiry"
>;
