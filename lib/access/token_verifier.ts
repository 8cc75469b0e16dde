/**
 * Verification of bearer tokens.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6750}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7519}
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyOptions,
} from "jose";
import { RunnelError, type Runtime } from "../base/mod.ts";
import type { AccessConfig } from "../config/mod.ts";
import { fingerprint, NO_CREDENTIAL, publicKey, publicKeyOf } from "./credential.ts";
import { FULL_ACCESS, type Grant, readGrant } from "./grant.ts";
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

/** Identity of the canary of an instance. */
export interface CanaryIdentity {
  /** The pipeline that it publishes to and subscribes to. */
  readonly pipeline: string;
  /** Token that only the instance knows. */
  readonly token: string;
}

/** Verifies static tokens and JSON Web Tokens. */
export class TokenVerifier {
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #options: JWTVerifyOptions;
  readonly #publishTokens: readonly { hash: Uint8Array; credential: string }[];
  readonly #canary: { hash: Uint8Array; bearer: Bearer } | null;
  readonly #secret: { key: Uint8Array; credential: string } | null;
  readonly #publicKeys: PublicKeys | null;
  /** Fingerprints of the credentials that the settings name. */
  readonly #credentials: readonly string[];

  /** @param canary Identity of the instance's own canary, if it has one. */
  constructor(
    config: TokenConfig,
    runtime: Pick<Runtime, "clock">,
    canary: CanaryIdentity | null = null,
  ) {
    const { publishTokens, tokenSecret, jwksUrl } = config;
    this.#runtime = runtime;
    this.#options = {
      clockTolerance: LEEWAY_SECONDS,
      requiredClaims: config.tokenExpiry === "required" ? ["exp"] : [],
      ...config.tokenAudience !== null && { audience: config.tokenAudience },
      ...config.tokenIssuer !== null && { issuer: config.tokenIssuer },
    };
    this.#publishTokens = publishTokens.map((token) => ({
      hash: createHash("sha256").update(token).digest(),
      credential: fingerprint("token", token),
    }));
    this.#canary = canary && bearerOf(canary);
    this.#secret = tokenSecret === null ? null : {
      key: new TextEncoder().encode(tokenSecret),
      credential: fingerprint("secret", tokenSecret),
    };
    this.#publicKeys = jwksUrl === null ? null : new PublicKeys(jwksUrl, runtime);
    this.#credentials = [
      ...this.#publishTokens.map(({ credential }) => credential),
      ...this.#secret ? [this.#secret.credential] : [],
    ];
  }

  /**
   * Verifies a token.
   *
   * @returns The bearer.
   * @throws {InvalidToken} If the token is invalid or expired. What its claims are is
   *   told only if its signature is valid.
   * @throws {RunnelError} `keys-unavailable` if the public keys cannot be fetched.
   */
  async verify(token: string): Promise<Bearer> {
    const hash = await digest(token);
    if (this.#canary && timingSafeEqual(this.#canary.hash, hash)) return this.#canary.bearer;
    // Compares with all tokens, each in constant time, so that timing reveals nothing.
    const [match] = this.#publishTokens.filter((known) => timingSafeEqual(known.hash, hash));
    if (match) {
      // The operator's own: it issues tickets to the subscribers of any pipeline.
      return {
        id: hash.toHex(),
        publisher: undefined,
        grant: { ...FULL_ACCESS, subscribe: [] },
        tickets: ["*"],
        credential: match.credential,
      };
    }
    const verified = await this.#verifyJwt(token);
    // Without the signature, which can be written in several ways that would be
    // counted separately.
    const signed = await digest(token.slice(0, token.lastIndexOf(".")));
    return { id: signed.toHex(), ...verified, tickets: verified.grant.subscribe };
  }

  /**
   * Whether a credential is one that tokens are verified by now. One that is not
   * known to be invalid, because the public keys cannot be fetched, is an error.
   *
   * @param credential Its fingerprint: see {@linkcode Bearer.credential}.
   * @throws {RunnelError} `keys-unavailable` if the public keys cannot be fetched.
   */
  async isValid(credential: string): Promise<boolean> {
    const known = this.#credentials;
    if (credential === NO_CREDENTIAL) return known.length === 0 && !this.#publicKeys;
    if (known.includes(credential)) return true;
    const thumbprint = publicKeyOf(credential);
    if (thumbprint === null || !this.#publicKeys) return false;
    try {
      return await this.#publicKeys.has(thumbprint);
    } catch (error) {
      throw keysUnavailable(error);
    }
  }

  async #verifyJwt(token: string): Promise<Omit<Bearer, "id" | "tickets">> {
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
}

/** Returns the bearer that a canary is: of one pipeline, and without tickets. */
function bearerOf({ pipeline, token }: CanaryIdentity): { hash: Uint8Array; bearer: Bearer } {
  const hash = createHash("sha256").update(token).digest();
  const scope = [pipeline];
  return {
    hash,
    bearer: {
      id: hash.toString("hex"),
      publisher: "canary",
      grant: { publish: scope, subscribe: scope, channels: null, endsAt: Infinity },
      tickets: [],
      credential: fingerprint("token", token),
    },
  };
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

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
