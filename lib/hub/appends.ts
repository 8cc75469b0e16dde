/**
 * The streaming appends of an isolate: opens them, within limits of their number.
 *
 * @module
 */

import { type Clock, RunnelError } from "../base/mod.ts";
import { beginsTooLate, type Log, type PublishOptions, type Receipt } from "../log/mod.ts";
import type { NewEvent } from "../protocol/mod.ts";
import { Append } from "./append.ts";
import { ClientQuota } from "./client_quota.ts";

/** Maximum numbers of streaming appends that are open at once. */
export interface AppendLimits {
  /** In total. */
  maxAppends: number;
  /** Per token, or per address of clients without one. */
  maxClientAppends: number;
}

/** Options for {@linkcode Appends.open}. */
export interface AppendOpening extends Pick<PublishOptions, "key" | "publisher"> {
  /** Number of events of the append before those that are added. */
  after: number;
  /** Client by which appends are counted; `null` for one that is not counted. */
  client: string | null;
  /** Runs each commit, as a part of a trace. */
  commit: <T>(run: () => Promise<T>) => Promise<T>;
  /** Called with the events of each commit, and the time that it took, in milliseconds. */
  onStored: (events: readonly NewEvent[], ms: number) => void;
  /** Called once with the error that ends the append. */
  onFailure: (error: unknown) => void;
}

/** Options for {@linkcode Appends}. */
export interface AppendsOptions extends AppendLimits {
  /** The log that knows what stands. */
  log: Pick<Log, "readAppend">;
  /** Clock for the time of a commit. */
  runtime: { clock: Clock };
}

/** Publishes events, as {@linkcode Hub.publish} does. */
type Publish = (
  pipeline: string,
  events: readonly NewEvent[],
  options: PublishOptions,
) => Promise<Receipt>;

/** The appends of an isolate. */
export class Appends {
  readonly #options: AppendsOptions;
  readonly #publish: Publish;
  readonly #quota: ClientQuota;

  constructor(options: AppendsOptions, publish: Publish) {
    this.#options = options;
    this.#publish = publish;
    this.#quota = new ClientQuota({
      max: options.maxAppends,
      maxPerClient: options.maxClientAppends,
      refuse,
    });
  }

  /** Number of appends that are open now. */
  get inUse(): number {
    return this.#quota.inUse;
  }

  /**
   * Opens a streaming append, which is to be disposed of.
   *
   * @param pipeline The pipeline's ID.
   * @throws {RunnelError} `overloaded`, `too-many-requests` or `log-unavailable`: all are
   *   transient; `key-reused`; `malformed-request` if it is to begin after events that do
   *   not stand.
   */
  async open(pipeline: string, opening: AppendOpening): Promise<Append> {
    const { key, publisher, after, client, commit, onStored, onFailure } = opening;
    const { log, runtime: { clock } } = this.#options;
    using held = new DisposableStack();
    held.use(this.#quota.acquire(client));
    const standing = key === undefined ? null : await log.readAppend(pipeline, key, publisher);
    const stands = standing?.count ?? 0;
    if (after > stands) throw beginsTooLate(after, stands);
    return new Append({
      standing,
      after,
      owner: key === undefined ? null : crypto.randomUUID(),
      place: held.move(),
      onFailure,
      store: async ({ events, ...group }) => {
        const started = clock.monotonic();
        const receipt = await commit(() =>
          this.#publish(pipeline, events, { key, publisher, ...group })
        );
        if (receipt.stands === undefined) onStored(events, clock.monotonic() - started);
        return receipt;
      },
    });
  }
}

function refuse(limit: "total" | "client"): RunnelError {
  return limit === "total"
    ? new RunnelError(
      "overloaded",
      "Cannot append: this instance has as many open as it may. Try again",
    )
    : new RunnelError(
      "too-many-requests",
      "Cannot append: this token or address has as many open as it may. End one, and try again",
    );
}
