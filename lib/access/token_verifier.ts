/**
 * Verification of bearer tokens.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6750}
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { Runtime } from "../base/mod.ts";
import type { Bearer, TokenConfig } from "./bearer.ts";
import { fingerprint, NO_CREDENTIAL, publicKeyOf } from "./credential.ts";
import { FULL_ACCESS } from "./grant.ts";
import type { JwtVerifier } from "./jwt_verifier.ts";

/** Identity of the canary of an instance. */
export interface CanaryIdentity {
  /** The pipeline that it publishes to and subscribes to. */
  readonly pipeline: string;
  /** Token that only the instance knows. */
  readonly token: string;
}

/** Verifies static tokens and JSON Web Tokens. */
export class TokenVerifier {
  readonly #config: TokenConfig;
  readonly #runtime: Pick<Runtime, "clock">;
  readonly #publishTokens: readonly { hash: Uint8Array; credential: string }[];
  readonly #canary: { hash: Uint8Array; bearer: Bearer } | null;
  /** Fingerprints of the credentials that the settings name. */
  readonly #credentials: readonly string[];
  #jwtVerifier: Promise<JwtVerifier> | undefined;

  /** @param canary Identity of the instance's own canary, if it has one. */
  constructor(
    config: TokenConfig,
    runtime: Pick<Runtime, "clock">,
    canary: CanaryIdentity | null = null,
  ) {
    const { publishTokens, tokenSecret } = config;
    this.#config = config;
    this.#runtime = runtime;
    this.#publishTokens = publishTokens.map((token) => ({
      hash: createHash("sha256").update(token).digest(),
      credential: fingerprint("token", token),
    }));
    this.#canary = canary && bearerOf(canary);
    this.#credentials = [
      ...this.#publishTokens.map(({ credential }) => credential),
      ...tokenSecret === null ? [] : [fingerprint("secret", tokenSecret)],
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
    const verified = await (await this.#loadJwtVerifier()).verify(token);
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
    if (credential === NO_CREDENTIAL) return known.length === 0 && this.#config.jwksUrl === null;
    if (known.includes(credential)) return true;
    const thumbprint = publicKeyOf(credential);
    if (thumbprint === null) return false;
    return (await this.#loadJwtVerifier()).isPublished(thumbprint);
  }

  /** Loads what verifies JSON Web Tokens with the first one: many services never get one. */
  #loadJwtVerifier(): Promise<JwtVerifier> {
    return this.#jwtVerifier ??= import("./jwt_verifier.ts").then(({ JwtVerifier }) =>
      new JwtVerifier(this.#config, this.#runtime)
    );
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

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
