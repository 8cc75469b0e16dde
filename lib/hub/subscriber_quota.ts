/**
 * Limits concurrent subscribers: in total, per pipeline and per client address.
 *
 * @module
 */

import { Quota, RunnelError } from "../base/mod.ts";

/** Maximum numbers of concurrent subscribers. */
export interface SubscriberLimits {
  /** In total. */
  maxSubscribers: number;
  /** Per pipeline. */
  maxPipelineSubscribers: number;
  /** Per client address. */
  maxAddressSubscribers: number;
}

/** Key of the total, which has only one owner. */
const ALL = "";

/**
 * Quota for the subscribers of an isolate: open streams, streams that are being
 * opened, and connections that outlive their streams.
 */
export class SubscriberQuota {
  readonly #total: Quota;
  readonly #byPipeline: Quota;
  readonly #byAddress: Quota;

  constructor(limits: SubscriberLimits) {
    this.#total = new Quota(limits.maxSubscribers);
    this.#byPipeline = new Quota(limits.maxPipelineSubscribers);
    this.#byAddress = new Quota(limits.maxAddressSubscribers);
  }

  /** Number of subscribers that are counted now. */
  get inUse(): number {
    return this.#total.inUse(ALL);
  }

  /**
   * Counts a subscriber until the result is disposed. Disposing it again changes
   * nothing.
   *
   * @param address Client address; `null` for a client that is not counted by it.
   * @throws {RunnelError} `overloaded` or `too-many-requests` if a limit is reached;
   *   nothing is counted then.
   */
  acquire(pipeline: string, address: string | null): Disposable {
    using held = new DisposableStack();
    held.use(this.#total.acquire(ALL) ?? refuse(full("this instance is full")));
    held.use(this.#byPipeline.acquire(pipeline) ?? refuse(full("this pipeline is full here")));
    if (address !== null) held.use(this.#byAddress.acquire(address) ?? refuse(addressFull()));
    return held.move();
  }
}

function refuse(error: RunnelError): never {
  throw error;
}

function full(what: string): RunnelError {
  return new RunnelError("overloaded", `Cannot subscribe: ${what}. Try again`);
}

function addressFull(): RunnelError {
  return new RunnelError(
    "too-many-requests",
    "Cannot subscribe: this address has too many streams. Close one",
  );
}
