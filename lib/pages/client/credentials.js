/* @ts-self-types="../../client/credentials.ts" */
// @ts-nocheck: built from lib/client/credentials.ts by "deno task build".

export class Credentials {
  token;
  url;
  wasRefused = false;
  reason = "start";
  #options;

  constructor(options) {
    this.#options = options;
    this.token = options.token;
  }

  async renew(lastEventId) {
    const { reason } = this;
    const { getToken, getUrl } = this.#options;
    if (reason && getToken) this.token = await getToken({ lastEventId, reason });
    if (reason && getUrl) {
      this.url = new URL(await getUrl({ lastEventId, reason }), globalThis.location?.href);
    }
    this.reason = "";
  }

  refused(status) {
    const { getToken, getUrl } = this.#options;
    if (this.wasRefused || !getToken && !getUrl || status !== 401 && status !== 403) return false;
    this.wasRefused = true;
    this.reason = `${status}`;
    return true;
  }
}
