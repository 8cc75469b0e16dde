/**
 * The public keys that verify JSON Web Tokens, by their URL.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7517}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7638}
 * @module
 */

import {
  calculateJwkThumbprint,
  createRemoteJWKSet,
  type CryptoKey,
  customFetch,
  exportJWK,
  type JWTVerifyGetKey,
} from "jose";
import type { Runtime } from "../base/mod.ts";

/** Time after which the keys are fetched again to find out whether one is left, in milliseconds. */
const RECHECK_MS = 60_000;

/** The keys of a JSON Web Key Set. */
export class PublicKeys {
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;
  readonly #runtime: Pick<Runtime, "clock">;
  /** Thumbprints, which cost a verification as much again. */
  readonly #thumbprints = new WeakMap<CryptoKey | Uint8Array, Promise<string>>();
  #checkedAt = -Infinity;

  constructor(url: string, runtime: Pick<Runtime, "clock">) {
    this.#keys = createRemoteJWKSet(new URL(url), { [customFetch]: fetchKeys });
    this.#runtime = runtime;
  }

  /** Returns the key for a token. */
  get find(): JWTVerifyGetKey {
    return this.#keys;
  }

  /** Returns the thumbprint of a key that was found. */
  thumbprint(key: CryptoKey | Uint8Array): Promise<string> {
    const known = this.#thumbprints.get(key);
    if (known) return known;
    const thumbprint = exportJWK(key).then((jwk) => calculateJwkThumbprint(jwk));
    this.#thumbprints.set(key, thumbprint);
    return thumbprint;
  }

  /**
   * Whether a key is still published. Fetches the keys again once a minute.
   *
   * @throws The error of fetching them, if they were last fetched long ago.
   */
  async has(thumbprint: string): Promise<boolean> {
    const now = this.#runtime.clock.monotonic();
    if (now - this.#checkedAt >= RECHECK_MS) {
      try {
        await this.#keys.reload();
      } catch (error) {
        // As tokens are verified, too, by keys that were fetched a moment ago.
        if (!this.#keys.fresh) throw error;
      }
      this.#checkedAt = now;
    }
    for (const jwk of this.#keys.jwks()?.keys ?? []) {
      // A key of an unknown form verifies nothing.
      if (await calculateJwkThumbprint(jwk).catch(() => null) === thumbprint) return true;
    }
    return false;
  }
}

/** Fetches the public keys. Cancels an unread body, which would keep its connection. */
async function fetchKeys(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  if (!response.ok) await response.body?.cancel();
  return response;
}
