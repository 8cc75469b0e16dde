/**
 * The requests of a tab that shares its stream.
 *
 * @module
 */

import { SharedBody } from "./shared_body.ts";
import { SharedMembership, type SharedMembershipOptions } from "./shared_membership.ts";
import { takeTurn } from "./shared_turns.ts";

/** Time that a live tab has to be fed before the next one catches up, in milliseconds. */
const SETTLE_MS = 500;

/** Headers of a stream that comes from the worker. */
const STREAM_HEADERS = { "Content-Type": "text/event-stream" };

/** Reason to be apart with a cookie: the worker cannot see whose it is. */
const COOKIE = "Its cookie may be of another user than those of other tabs; `share` names the user";

/** Reason for which a page that was left has no stream. */
const HIDDEN = "The page is hidden";

/** Options for {@linkcode SharedFetch}. */
export interface SharedFetchOptions extends SharedMembershipOptions {
  /** Pipelines of the tab, in the order of its URL. */
  pipelines: readonly string[];
  /** Called when the events come from the worker, or no longer. */
  onShared: (isShared: boolean) => void;
  /** Called before a failure that the next attempt is to follow at once. */
  onHurry: () => void;
}

/** The `fetch` of the client in a tab: the worker answers where that is exact, else the service. */
export class SharedFetch {
  readonly #options: SharedFetchOptions;
  readonly #membership: SharedMembership;
  #isHidden = false;
  /** Whether the run of a pipeline has ended. */
  #hasEnds = false;

  constructor(options: SharedFetchOptions) {
    this.#options = options;
    this.#membership = new SharedMembership(options);
  }

  /** Sends a request. */
  async fetch(url: URL, init: RequestInit): Promise<Response> {
    const { platform, clock } = this.#options;
    const { links } = this.#membership;
    // Each answer to a poll is whole by itself.
    if (!links.canShare || url.searchParams.has("wait")) return await platform.fetch(url, init);
    // The client tries at once when the visibility changes, also in a page that is being left.
    if (this.#isHidden) throw new Error(HIDDEN);
    const headers = new Headers(init.headers);
    this.#membership.token = headers.get("Authorization")?.replace(/^Bearer /, "");
    const lastEventId = headers.get("Last-Event-ID") ?? "";
    links.open();
    const body = await this.#resume(lastEventId);
    if (body) return new Response(body.stream, { headers: STREAM_HEADERS });
    const endTurn = await takeTurn(platform.locks!, clock, platform.random);
    try {
      const response = await platform.fetch(url, init);
      if (response.status !== 200 || !response.body) {
        endTurn();
        return response;
      }
      if (this.#isByCookie(response)) this.#stayApart(COOKIE);
      const { stream } = this.#createBody(lastEventId, response.body, endTurn);
      return new Response(stream, { headers: response.headers });
    } catch (error) {
      endTurn();
      throw error;
    }
  }

  /** Lets the streams of the worker try again at once. */
  retryNow(): void {
    this.#membership.links.post({ type: "retry" });
  }

  /** Shares nothing any more. */
  close(): void {
    this.#membership.links.stop();
    this.#membership.close();
  }

  /** Lets go of the worker while the page is left for another one. */
  setHidden(isHidden: boolean): void {
    this.#isHidden = isHidden;
    if (!isHidden || !this.#membership.links.canShare) return;
    // A page with a lock or a port is not kept in memory for the user to come back to.
    this.#membership.close();
    this.#membership.body?.cut(HIDDEN);
  }

  /** Whether the service has given the tab its answer for a cookie that nobody has named. */
  #isByCookie({ headers }: Response): boolean {
    return this.#options.share === undefined && /\bcookie\b/i.test(headers.get("Vary") ?? "");
  }

  /** Keeps the tab on streams of its own from now on. */
  #stayApart(reason: string): void {
    this.close();
    this.#options.onApart(reason);
  }

  /** Asks the worker to continue the stream. Resolves with `null` if it does not. */
  #resume(lastEventId: string): Promise<SharedBody | null> {
    // The service itself tells which runs have ended.
    if (!lastEventId || !this.#membership.links.isUp || this.#hasEnds) return Promise.resolve(null);
    const body = this.#createBody(lastEventId, null, () => {});
    if (body.positions.size === 0) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#membership.ask(body, (message) => {
        if (message?.type === "feed" && body.begin(message.feed, message.positions)) {
          this.#options.onShared(true);
          return resolve(body);
        }
        body.cut("Not shared");
        if (message?.type === "down") reject(new Error(message.reason));
        else resolve(null);
      });
    });
  }

  #createBody(
    lastEventId: string,
    own: ReadableStream<Uint8Array> | null,
    endTurn: () => void,
  ): SharedBody {
    const { pipelines, clock, onShared, onHurry } = this.#options;
    const membership = this.#membership;
    const body: SharedBody = new SharedBody({
      pipelines,
      lastEventId,
      own,
      onLive: () => {
        // The page may have been left meanwhile.
        membership.links.open();
        membership.announce();
        clock.after(SETTLE_MS, endTurn);
      },
      onFed: () => {
        endTurn();
        onShared(true);
      },
      onTaken: (length) => membership.acknowledge(length),
      onHurry,
      onClosed: () => {
        endTurn();
        this.#hasEnds ||= body.openPipelines.length < pipelines.length;
        if (membership.body !== body) return;
        membership.body = null;
        onShared(false);
        membership.leave();
      },
    });
    return membership.body = body;
  }
}
