/**
 * Verification of bearer tokens.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6750}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7519}
 * @module
 */

import { timingSafeEqual } from "node:crypto";
import { createRemoteJWKSet, customFetch, decodeProtectedHeader, errors, jwtVerify } from "jose";
import { RunnelError, type Runtime } from "../base/mod.ts";
import type { AccessConfig } from "../config/mod.ts";
import { FULL_ACCESS, type Grant, readGrant } from "./grant.ts";

/** Algorithms of public keys. A public key must never be accepted as a shared secret. */
const PUBLIC_KEY_ALGORITHMS = [
  "EdDSA",
  "Ed25519",
  "ES256",
  "ES384",
  "ES512",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
];

/** Bearer of a valid token. */
export interface Bearer {
  /** Identifies the token for counting. It cannot be used as a token. */
  readonly id: string;
  /** Grant of the token. */
  readonly grant: Grant;
  /** Pipelines that it may issue tickets for, in the form of the grant. */
  readonly tickets: readonly string[];
}

type Keys = Pick<AccessConfig, "publishTokens" | "tokenSecret" | "jwksUrl">;

/** Verifies static tokens and JSON Web Tokens. */
export class TokenVerifier {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #publishTokens: Promise<Uint8Array[]>;
  readonly #secret: Uint8Array | null;
  readonly #publicKeys: ReturnType<typeof createRemoteJWKSet> | null;

  constructor({ publishTokens, tokenSecret, jwksUrl }: Keys, runtime: Pick<Runtime, "clock">) {
    this.#runtime = runtime;
    this.#publishTokens = Promise.all(publishTokens.map(digest));
    this.#secret = tokenSecret === null ? null : new TextEncoder().encode(tokenSecret);
    this.#publicKeys = jwksUrl === null
      ? null
      : createRemoteJWKSet(new URL(jwksUrl), { [customFetch]: fetchKeys });
  }

  /**
   * Verifies a token.
   *
   * @returns The bearer; `null` if the token is invalid or expired.
   * @throws {RunnelError} `keys-unavailable` if the public keys cannot be fetched.
   */
  async verify(token: string): Promise<Bearer | null> {
    const hash = await digest(token);
    // Compares with all tokens, each in constant time, so that timing reveals nothing.
    const matches = (await this.#publishTokens).filter((known) => timingSafeEqual(known, hash));
    if (matches.length > 0) {
      // The operator's own: it issues tickets to the subscribers of any pipeline.
      return { id: hash.toHex(), grant: { ...FULL_ACCESS, subscribe: [] }, tickets: ["*"] };
    }
    const grant = await this.#verifyJwt(token);
    if (!grant) return null;
    // Without the signature, which can be written in several ways that would be
    // counted separately.
    const signed = await digest(token.slice(0, token.lastIndexOf(".")));
    return { id: signed.toHex(), grant, tickets: grant.subscribe };
  }

  async #verifyJwt(token: string): Promise<Grant | null> {
    const currentDate = new Date(this.#runtime.clock.now());
    const algorithm = readAlgorithm(token);
    if (algorithm === null) return null;
    try {
      const verified = algorithm === "HS256"
        ? this.#secret &&
          await jwtVerify(token, this.#secret, { algorithms: ["HS256"], currentDate })
        : this.#publicKeys && await jwtVerify(token, this.#publicKeys, {
          algorithms: PUBLIC_KEY_ALGORITHMS,
          currentDate,
        });
      if (!verified) return null;
      const { exp, runnel } = verified.payload;
      return readGrant(runnel, exp === undefined ? Infinity : exp * 1000);
    } catch (error) {
      if (isInvalidToken(error)) return null;
      throw new RunnelError(
        "keys-unavailable",
        "Cannot verify the token: the public keys are unavailable. Try again",
        { cause: error },
      );
    }
  }
}

/** Fetches the public keys. Cancels an unread body, which would keep its connection. */
async function fetchKeys(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  if (!response.ok) await response.body?.cancel();
  return response;
}

/** Returns the algorithm in the header of a token; `null` if it is not a JSON Web Token. */
function readAlgorithm(token: string): string | null {
  try {
    return decodeProtectedHeader(token).alg ?? null;
  } catch {
    return null;
  }
}

/** Whether the token caused an error, and not the fetching of the keys. */
function isInvalidToken(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false;
  return error instanceof errors.JOSEError && error.code !== "ERR_JOSE_GENERIC";
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
