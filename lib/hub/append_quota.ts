/**
 * Limits the streaming appends that are open at once: in total, and by client.
 *
 * @module
 */

import { Quota, RunnelError } from "../base/mod.ts";

/** Maximum numbers of streaming appends. */
export interface AppendLimits {
  /** In total. */
  maxAppends: number;
  /** Per token, or per address of clients without one. */
  maxClientAppends: number;
}

/** Key of the total, which has only one owner. */
const ALL = "";

/** Quota for the appends of an isolate. */
export class AppendQuota {
  readonly #total: Quota;
  readonly #byClient: Quota;

  constructor({ maxAppends, maxClientAppends }: AppendLimits) {
    this.#total = new Quota(maxAppends);
    this.#byClient = new Quota(maxClientAppends);
  }

  /** Number of appends that are open now. */
  get inUse(): number {
    return this.#total.inUse(ALL);
  }

  /**
   * Counts an append until the result is disposed.
   *
   * @param client Identifies the client; `null` for one that is not counted.
   * @throws {RunnelError} `overloaded` or `too-many-requests` if a limit is reached.
   */
  acquire(client: string | null): Disposable {
    using held = new DisposableStack();
    held.use(this.#total.acquire(ALL) ?? refuse("overloaded", "this instance has as many"));
    if (client !== null) {
      const place = this.#byClient.acquire(client);
      held.use(place ?? refuse("too-many-requests", "this token or address has as many"));
    }
    return held.move();
  }
}

function refuse(type: "overloaded" | "too-many-requests", reason: string): never {
  throw new RunnelError(type, `Cannot append: ${reason} open at once as it may. Try again`);
}
