/**
 * Verification of JSON Web Tokens.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7519}
 * @module
 */

import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyOptions,
} from "jose";
import { RunnelError, type Runtime } from "../base/mod.ts";
import { type Bearer, InvalidToken, type TokenConfig } from "./bearer.ts";
import { fingerprint, publicKey } from "./credential.ts";
import { type Grant, readGrant } from "./grant.ts";
import { PublicKeys } from "./public_keys.ts";

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

/**
 * Time by which the clocks of an issuer and of the service may differ, in seconds:
 * a token is valid that much before its `nbf` and after its `exp`.
 */
const LEEWAY_SECONDS = 30;

/** Reason for which a token is invalid that nothing of the settings can verify. */
const OTHER_KIND = "it is signed in a way that this service does not accept";

/** Verifies JSON Web Tokens by a shared secret or by public keys. */
export class JwtVerifier {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #options: JWTVerifyOptions;
  readonly #secret: { key: Uint8Array; credential: string } | null;
  readonly #publicKeys: PublicKeys | null;

  constructor(config: TokenConfig, runtime: Pick<Runtime, "clock">) {
    const { tokenSecret, jwksUrl } = config;
    this.#runtime = runtime;
    this.#options = {
      clockTolerance: LEEWAY_SECONDS,
      requiredClaims: config.tokenExpiry === "required" ? ["exp"] : [],
      ...config.tokenAudience !== null && { audience: config.tokenAudience },
      ...config.tokenIssuer !== null && { issuer: config.tokenIssuer },
    };
    this.#secret = tokenSecret === null ? null : {
      key: new TextEncoder().encode(tokenSecret),
      credential: fingerprint("secret", tokenSecret),
    };
    this.#publicKeys = jwksUrl === null ? null : new PublicKeys(jwksUrl, runtime);
  }

  /**
   * Verifies a token.
   *
   * @throws {InvalidToken} If the token is invalid or expired. What its claims are is
   *   told only if its signature is valid.
   * @throws {RunnelError} `keys-unavailable` if the public keys cannot be fetched.
   */
  async verify(token: string): Promise<Omit<Bearer, "id" | "tickets">> {
    const options = { ...this.#options, currentDate: new Date(this.#runtime.clock.now()) };
    const algorithm = readAlgorithm(token);
    if (algorithm === null) {
      throw new InvalidToken("it is neither a token of this service nor a JSON Web Token");
    }
    try {
      let payload: JWTPayload;
      let credential: string;
      if (algorithm === "HS256") {
        if (!this.#secret) throw new InvalidToken(OTHER_KIND);
        const algorithms = ["HS256"];
        ({ payload } = await jwtVerify(token, this.#secret.key, { ...options, algorithms }));
        ({ credential } = this.#secret);
      } else {
        if (!this.#publicKeys) throw new InvalidToken(OTHER_KIND);
        const algorithms = PUBLIC_KEY_ALGORITHMS;
        const { find } = this.#publicKeys;
        const verified = await jwtVerify(token, find, { ...options, algorithms });
        ({ payload } = verified);
        credential = publicKey(await this.#publicKeys.thumbprint(verified.key));
      }
      const { exp, runnel } = payload;
      const endsAt = exp === undefined ? Infinity : (exp + LEEWAY_SECONDS) * 1000;
      const grant = readGrant(runnel, endsAt);
      if (!grant) throw new InvalidToken("its claim runnel is missing or invalid");
      return { grant, credential, publisher: publisherOf(payload, grant) };
    } catch (error) {
      if (error instanceof InvalidToken) throw error;
      if (isInvalidToken(error)) throw new InvalidToken(describe(error));
      throw keysUnavailable(error);
    }
  }

  /**
   * Whether a public key is one that tokens are verified by now.
   *
   * @throws {RunnelError} `keys-unavailable` if the public keys cannot be fetched.
   */
  async isPublished(thumbprint: string): Promise<boolean> {
    if (!this.#publicKeys) return false;
    try {
      return await this.#publicKeys.has(thumbprint);
    } catch (error) {
      throw keysUnavailable(error);
    }
  }
}

function keysUnavailable(cause: unknown): RunnelError {
  return new RunnelError(
    "keys-unavailable",
    "Cannot verify the token: the public keys are unavailable. Try again",
    { cause },
  );
}

/** Returns the {@linkcode Bearer.publisher} of a token. Each value has one notation. */
function publisherOf({ iss, sub }: JWTPayload, { publish, channels }: Grant): string {
  return JSON.stringify(
    typeof sub === "string"
      ? { iss, sub }
      : { publish: publish.toSorted(), channels: channels?.toSorted() },
  );
}

/** Returns the algorithm in the header of a token; `null` if it is not a JSON Web Token. */
function readAlgorithm(token: string): string | null {
  try {
    return decodeProtectedHeader(token).alg ?? null;
  } catch {
    return null;
  }
}

/** Reason for which a token is invalid. Claims are only looked at after the signature. */
function describe(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "nbf") return "it is not valid yet";
    return `its claim ${error.claim} is missing, or not what this service expects`;
  }
  if (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey
  ) return "it is signed with another secret or key";
  return "it is no valid JSON Web Token";
}

/** Whether the token caused an error, and not the fetching of the keys. */
function isInvalidToken(error: unknown): error is errors.JOSEError {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false;
  return error instanceof errors.JOSEError && error.code !== "ERR_JOSE_GENERIC";
}
