/**
 * Reads the pages of a history.
 *
 * @module
 */

import type { Hub } from "../../lib/hub/hub.ts";
import type { HistoryPage } from "../../lib/log/history.ts";
import type { AcceptedEvent } from "../../lib/protocol/event.ts";

/** Reads all pages, and asserts that exactly the last one says so. */
export async function readPages(pages: AsyncIterable<HistoryPage>): Promise<HistoryPage[]> {
  const all: HistoryPage[] = [];
  for await (const page of pages) {
    if (all.at(-1)?.isLast) throw new Error("A page follows the last one");
    all.push(page);
  }
  if (!all.at(-1)?.isLast) throw new Error("There is no last page");
  return all;
}

/** Reads the history of a pipeline. */
export async function readHistoryOf(hub: Hub, pipeline: string): Promise<AcceptedEvent[]> {
  return (await readPages(hub.history(pipeline))).flatMap(({ events }) => events);
}
