/**
 * Reads pages of the log for subscribers that are behind the tail: few at a
 * time, and each page once for all that ask for it at the same time.
 *
 * @module
 */

import { Semaphore } from "../base/mod.ts";
import type { EventLog, Page } from "../log/mod.ts";
import { MAX_CHUNK_BYTES } from "./chunk.ts";
import { EncodedEvents } from "./encoded_events.ts";

/** Maximum number of reads in flight. */
const MAX_READS = 4;

/** A page of the log, of which each event is encoded when it is first sent. */
export interface EncodedPage extends Omit<Page, "events"> {
  /** The events of the page, ready to be sent. */
  events: EncodedEvents;
}

/** A read that waits for its turn or is in progress. */
interface SharedRead {
  /** The page; `null` until the read is queued. */
  page: Promise<EncodedPage | null> | null;
  /** Whether each of those who asked for it still wants it. */
  askers: (() => boolean)[];
}

/** Reader of pages for all pipelines of an isolate. */
export class PageReader {
  readonly #log: Pick<EventLog, "readAfter">;
  readonly #semaphore = new Semaphore(MAX_READS);
  readonly #reads = new Map<string, SharedRead>();

  constructor(log: Pick<EventLog, "readAfter">) {
    this.#log = log;
  }

  /**
   * Reads the events that follow a sequence.
   *
   * @param isWanted Whether the caller still wants the page. If nobody does when its
   *   turn comes, nothing is read: clients that connect and leave would otherwise
   *   hold up the others.
   * @returns The page; `null` if there is no log of that pipeline, or nobody wants it.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  read(
    pipeline: string,
    sequence: number,
    isWanted: () => boolean = () => true,
  ): Promise<EncodedPage | null> {
    const key = `${pipeline} ${sequence}`;
    const known = this.#reads.get(key);
    if (known) {
      known.askers.push(isWanted);
      return known.page!;
    }
    const shared: SharedRead = { page: null, askers: [isWanted] };
    // Before the read, which may end at once.
    this.#reads.set(key, shared);
    return shared.page = this.#semaphore.run(async () => {
      try {
        const isRead = shared.askers.some((isWanted) => isWanted());
        return isRead ? await this.#readNow(pipeline, sequence) : null;
      } finally {
        // In the same turn as the decision, so that nobody joins a read that is not made.
        this.#reads.delete(key);
      }
    });
  }

  async #readNow(pipeline: string, sequence: number): Promise<EncodedPage | null> {
    const page = await this.#log.readAfter(pipeline, sequence, MAX_CHUNK_BYTES);
    if (!page) return null;
    const events = new EncodedEvents(page.epoch, page.after);
    events.appendUnsent(page.events);
    return { ...page, events };
  }
}
