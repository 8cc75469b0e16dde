/**
 * Reads a page of events once for all that ask for the same one before it is read: an event
 * wakes many polls that are at the same position.
 *
 * @module
 */

import { Semaphore } from "../base/mod.ts";
import type { EventPage } from "../log/mod.ts";
import { ChannelFilter, formatEventId } from "../protocol/mod.ts";
import type { PageRequest } from "./histories.ts";

/** Maximum number of pages read at once. */
const MAX_READS = 4;

/** Pages that several clients share. */
export class SharedPages {
  readonly #readPage: (pipeline: string, request: PageRequest) => Promise<EventPage>;
  readonly #reads = new Semaphore(MAX_READS);
  /** Pages that wait to be read, by all that is asked for. */
  readonly #waiting = new Map<string, Promise<EventPage>>();

  /** @param readPage Reads a page for one client. */
  constructor(readPage: (pipeline: string, request: PageRequest) => Promise<EventPage>) {
    this.#readPage = readPage;
  }

  /**
   * Reads a page, or joins those who wait for the same one.
   *
   * @throws The error of the read.
   */
  read(pipeline: string, request: PageRequest): Promise<EventPage> {
    const { after, limit, channels = [] } = request;
    const position = after === null ? 0 : formatEventId(after);
    const key = `${pipeline} ${position} ${limit} ${ChannelFilter.of(channels).key}`;
    let page = this.#waiting.get(key);
    if (!page) {
      page = this.#reads.run(async () => {
        // After it is in the map.
        await undefined;
        // What is accepted from now on may not be in it.
        this.#waiting.delete(key);
        return await this.#readPage(pipeline, request);
      });
      this.#waiting.set(key, page);
    }
    return page;
  }
}
