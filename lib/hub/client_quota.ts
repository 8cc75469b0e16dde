/**
 * Limits what is open at once: in total, and by client.
 *
 * @module
 */

import { Quota, type RunnelError } from "../base/mod.ts";

/** Key of the total, which has only one owner. */
const ALL = "";

/** Options for {@linkcode ClientQuota}. */
export interface ClientQuotaOptions {
  /** Maximum number in total. */
  max: number;
  /** Maximum number of one client. */
  maxPerClient: number;
  /** Returns the error of a limit that is reached: the total, or that of the client. */
  refuse: (limit: "total" | "client") => RunnelError;
}

/** Quota of an isolate, with a limit for each client. */
export class ClientQuota {
  readonly #refuse: ClientQuotaOptions["refuse"];
  readonly #total: Quota;
  readonly #byClient: Quota;

  constructor({ max, maxPerClient, refuse }: ClientQuotaOptions) {
    this.#refuse = refuse;
    this.#total = new Quota(max);
    this.#byClient = new Quota(maxPerClient);
  }

  /** Number that is counted now. */
  get inUse(): number {
    return this.#total.inUse(ALL);
  }

  /**
   * Counts one more until the result is disposed.
   *
   * @param client Identifies the client; `null` for one that is not counted by itself.
   * @throws {RunnelError} The error of the limit that is reached; nothing is counted then.
   */
  acquire(client: string | null): DisposableStack {
    using held = new DisposableStack();
    held.use(this.#take(this.#total, ALL, "total"));
    if (client !== null) held.use(this.#take(this.#byClient, client, "client"));
    return held.move();
  }

  #take(quota: Quota, owner: string, limit: "total" | "client"): Disposable {
    const place = quota.acquire(owner);
    if (!place) throw this.#refuse(limit);
    return place;
  }
}
