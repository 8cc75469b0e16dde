/**
 * Long polls: a page of events, and if it would be empty, a wait for the first one.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { EventPage } from "../log/mod.ts";
import { formatEventId } from "../protocol/mod.ts";
import type { PageRequest } from "./histories.ts";
import type { SharedPages } from "./shared_pages.ts";
import type { SubscriberQuota } from "./subscriber_quota.ts";
import type { Subscription } from "./subscription.ts";

/** Request for a page that may have to be waited for. */
export interface PollRequest extends PageRequest {
  /** Maximum time of the wait, in milliseconds. */
  waitMs: number;
  /** Expiry of the client's token, in milliseconds since the Unix epoch: the wait ends then at the latest. */
  endsAt?: number | undefined;
  /** Aborted when the client leaves: it frees its place. */
  left?: AbortSignal | undefined;
}

/** Options for {@linkcode PagePolls}. */
export interface PagePollsOptions {
  /** Reads the pages. */
  pages: Pick<SharedPages, "read">;
  /** Counts a poll as a subscriber, from its first read until its connection is closed. */
  quota: Pick<SubscriberQuota, "acquire">;
  /** Opens the stream that is waited for. */
  subscribe: (pipeline: string, subscription: Subscription) => Promise<ReadableStream<Uint8Array>>;
}

/** The long polls of an isolate. */
export class PagePolls {
  readonly #options: PagePollsOptions;

  constructor(options: PagePollsOptions) {
    this.#options = options;
  }

  /**
   * Reads a page. If there is nothing to tell, it waits for an event that the filter keeps,
   * a gap or the end of the run, and reads again: also when the time is up, and at a drain.
   *
   * @throws {RunnelError} As {@linkcode SharedPages.read} and {@linkcode Hub.subscribe},
   *   but for `run-ended`.
   */
  async read(pipeline: string, request: PollRequest): Promise<EventPage> {
    const { pages, quota } = this.#options;
    const { address = null, connectionClosed } = request;
    using held = new DisposableStack();
    const place = held.use(quota.acquire([pipeline], address));
    const page = await pages.read(pipeline, request);
    if (request.waitMs === 0 || hasNews(page)) {
      if (connectionClosed) releaseAfter(connectionClosed, held.move());
      return page;
    }
    // The stream takes it in the same turn.
    place[Symbol.dispose]();
    await this.#wait(pipeline, page, request);
    // Nobody takes the answer.
    if (request.left?.aborted) return page;
    return await pages.read(pipeline, { ...request, after: page.position });
  }

  /** Waits for something to tell after a page. */
  async #wait(
    pipeline: string,
    { position }: EventPage,
    { channels, address, connectionClosed, waitMs, endsAt, left }: PollRequest,
  ): Promise<void> {
    try {
      const stream = await this.#options.subscribe(pipeline, {
        lastEventId: formatEventId(position),
        channels,
        address,
        connectionClosed,
        waitMs,
        endsAt,
      });
      // It ends by itself. Its bytes are those of the page, or an expiry.
      await stream.pipeTo(new WritableStream(), left && { signal: left });
    } catch (error) {
      const hasEnded = error instanceof RunnelError && error.type === "run-ended";
      if (!hasEnded && !left?.aborted) throw error;
    }
  }
}

/** Whether a page has something to tell. */
function hasNews({ events, gap, hasMore, end }: EventPage): boolean {
  return events.length > 0 || gap !== null || hasMore || end !== null;
}

function releaseAfter(settled: Promise<unknown>, place: DisposableStack): void {
  // In a scope of its own: for as long as a connection is open, this holds nothing else.
  const release = () => place.dispose();
  settled.then(release, release);
}
