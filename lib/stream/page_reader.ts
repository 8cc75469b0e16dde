/**
 * Reads pages of the log for subscribers that are behind the tail: few at a
 * time, and each page once for all that ask for it at the same time.
 *
 * @module
 */

import { Semaphore } from "../base/mod.ts";
import type { EventLog, Page } from "../log/mod.ts";
import { EncodedEvents, MAX_CHUNK_BYTES } from "./encoded_events.ts";

/** Maximum number of reads in flight. */
const MAX_READS = 4;

/** A page of the log, encoded. */
export interface EncodedPage extends Omit<Page, "events"> {
  /** The events of the page, ready to be sent. */
  events: EncodedEvents;
}

/** Reader of pages for all pipelines of an isolate. */
export class PageReader {
  readonly #log: Pick<EventLog, "readAfter">;
  readonly #semaphore = new Semaphore(MAX_READS);
  readonly #reads = new Map<string, Promise<EncodedPage | null>>();

  constructor(log: Pick<EventLog, "readAfter">) {
    this.#log = log;
  }

  /**
   * Reads the events that follow a sequence.
   *
   * @returns The page, or `null` if there is no log of that pipeline.
   * @throws {RunnelError} `log-unavailable` if the log does not answer.
   */
  read(pipeline: string, sequence: number): Promise<EncodedPage | null> {
    const key = `${pipeline} ${sequence}`;
    let read = this.#reads.get(key);
    if (!read) {
      read = this.#read(pipeline, sequence).finally(() => this.#reads.delete(key));
      this.#reads.set(key, read);
    }
    return read;
  }

  async #read(pipeline: string, sequence: number): Promise<EncodedPage | null> {
    const page = await this.#semaphore.run(() =>
      this.#log.readAfter(pipeline, sequence, MAX_CHUNK_BYTES)
    );
    if (!page) return null;
    const events = new EncodedEvents(page.epoch, page.after);
    events.append(page.events);
    return { ...page, events };
  }
}
