/**
 * The token or the ticket of a subscription.
 *
 * @module
 */

import type { SubscribeOptions } from "./subscribe_options.ts";

/** Credentials of one subscription, which are requested again when they are not accepted. */
export class Credentials {
  /** The token; absent if there is none. */
  token: string | undefined;
  /** The URL of a ticket; absent if there is none. */
  url: URL | undefined;
  /** Whether the service has refused the newest ones, or those before, and accepted none since. */
  wasRefused = false;
  /** Reason to request others; empty if those that it has may be good. */
  reason = "start";
  readonly #options: SubscribeOptions;

  /** Takes the functions that are called for credentials. */
  constructor(options: SubscribeOptions) {
    this.#options = options;
    this.token = options.token;
  }

  /** Requests credentials if there is a reason. Rejects as the function of the options does. */
  async renew(lastEventId: string): Promise<void> {
    const { reason } = this;
    const { getToken, getUrl } = this.#options;
    if (reason && getToken) this.token = await getToken({ lastEventId, reason });
    if (reason && getUrl) {
      this.url = new URL(await getUrl({ lastEventId, reason }), globalThis.location?.href);
    }
    this.reason = "";
  }

  /**
   * Called when the service has refused a request permanently.
   *
   * @returns Whether other credentials are worth an attempt. They are not if they were refused as
   *   well, or if the refusal was not about them.
   */
  refused(status: number): boolean {
    const { getToken, getUrl } = this.#options;
    if (this.wasRefused || !getToken && !getUrl || status !== 401 && status !== 403) return false;
    this.wasRefused = true;
    this.reason = `${status}`;
    return true;
  }
}
