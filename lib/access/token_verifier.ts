/**
 * From a bearer's token to what it grants.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6750}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7519}
 * @module
 */

import { timingSafeEqual } from "node:crypto";
import { createRemoteJWKSet, customFetch, decodeProtectedHeader, errors, jwtVerify } from "jose";
import { RunnelError, type Runtime } from "../base/mod.ts";
import type { AccessConfig } from "../config/mod.ts";
import { EVERYTHING, type Grant, readGrant } from "./grant.ts";

/** What public keys sign with: no secret of ours may be taken for one. */
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

/** Somebody who showed a token. */
export interface Bearer {
  /** What tells the token from others, and opens nothing: for counting. */
  readonly id: string;
  /** What it grants. */
  readonly grant: Grant;
}

type Keys = Pick<AccessConfig, "publishTokens" | "tokenSecret" | "jwksUrl">;

/**
 * Verifies tokens.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
 * import { systemRuntime as runtime } from "../base/mod.ts";
 *
 * const tokens = ["a-token-of-a-publisher"];
 * const keys = { publishTokens: tokens, tokenSecret: null, jwksUrl: null };
 * const verifier = new TokenVerifier(keys, runtime);
 * deepEqual((await verifier.verify("a-token-of-a-publisher"))!.grant.publish, ["*"]);
 * equal(await verifier.verify("another"), null);
 * ```
 */
export class TokenVerifier {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #publishTokens: Promise<Uint8Array[]>;
  readonly #secret: Uint8Array | null;
  readonly #publicKeys: ReturnType<typeof createRemoteJWKSet> | null;

  /**
   * Makes a verifier.
   *
   * @param keys What tokens are compared with and verified by.
   * @param runtime Clock that expiry is compared with.
   */
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
   * @param token The token.
   * @returns Who bears it, or `null` if it is none of ours or has expired.
   * @throws {RunnelError} `keys-unavailable` if the public keys cannot be had now.
   */
  async verify(token: string): Promise<Bearer | null> {
    const hash = await digest(token);
    // As many comparisons as there are tokens, whichever it is, each in constant time.
    const matches = (await this.#publishTokens).filter((known) => timingSafeEqual(known, hash));
    if (matches.length > 0) return { id: hash.toHex(), grant: { ...EVERYTHING, subscribe: [] } };
    const grant = await this.#verifyJwt(token);
    if (!grant) return null;
    // One signature can be written in several ways, to be counted as several.
    const signed = await digest(token.slice(0, token.lastIndexOf(".")));
    return { id: signed.toHex(), grant };
  }

  async #verifyJwt(token: string): Promise<Grant | null> {
    const currentDate = new Date(this.#runtime.clock.now());
    const algorithm = readAlgorithm(token);
    if (algorithm === null) return null;
    try {
      const isOurs = algorithm === "HS256";
      const verified = isOurs
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
      if (isRefusal(error)) return null;
      throw new RunnelError(
        "keys-unavailable",
        "Cannot check the token: the keys that it is signed with cannot be had now. Try again",
        { cause: error },
      );
    }
  }
}

/** A body that is not read would keep its connection. */
async function fetchKeys(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  if (!response.ok) await response.body?.cancel();
  return response;
}

/** What a token says that it is signed with; `null` if it is no token. */
function readAlgorithm(token: string): string | null {
  try {
    return decodeProtectedHeader(token).alg ?? null;
  } catch {
    return null;
  }
}

/** Whether a token is at fault, and not the way to the keys. */
function isRefusal(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false;
  return error instanceof errors.JOSEError && error.code !== "ERR_JOSE_GENERIC";
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
