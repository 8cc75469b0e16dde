/**
 * The document of a history, sent page by page: the next page is read from the log only
 * when the connection asks for it.
 *
 * @module
 */

import { type Clock, RunnelError } from "../base/mod.ts";
import type { HistoryPage } from "../hub/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { EventList } from "./event_list.ts";

/**
 * Maximum time that a client may take, in milliseconds: 6 MB at 50 KB a second. There
 * is none for a page: the kernel takes megabytes at once, and then nothing for long.
 */
const MAX_MS = 120_000;

/** Answer with a history. */
export interface HistoryBody {
  /** Position at which the history ends. */
  position: Position;
  /** The document, one chunk for each page. */
  body: ReadableStream<Uint8Array>;
}

/** Options for {@linkcode historyBody}. */
export interface HistoryBodyOptions {
  /** Pages of the history. They are ended when the body is. */
  pages: AsyncGenerator<HistoryPage, void>;
  /** Document that the events are added to. */
  list: EventList;
  /**
   * Clock for the deadline. Past it, and after an error of a page, the body ends with an
   * error, so that no client takes a part for the whole.
   */
  clock: Clock;
  /** Settles when the connection closes: a body that was not begun is not canceled then. */
  connectionClosed?: Promise<unknown> | undefined;
}

/**
 * Creates the body of the answer with a history of a pipeline.
 *
 * @throws Whatever the first page throws: the status is still to be sent.
 */
export async function historyBody(
  pipeline: string,
  { pages, list, clock, connectionClosed }: HistoryBodyOptions,
): Promise<HistoryBody> {
  const opening = await nextOf(pages);
  let first: HistoryPage | null = opening;
  let timer: Disposable | null = null;

  /** Stops everything. A page that is being read settles first, and is dropped. */
  const end = () => {
    timer?.[Symbol.dispose]();
    pages.return().catch(() => {});
  };
  connectionClosed?.then(end, end);
  const fail = (controller: ReadableStreamDefaultController, error: unknown) => {
    end();
    controller.error(error);
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = clock.after(MAX_MS, () => fail(controller, tooSlow(pipeline)));
    },
    async pull(controller) {
      try {
        const page = first ?? await nextOf(pages);
        first = null;
        list.add(page.position.epoch, page.events);
        if (page.isLast) list.end(page);
        // Before the chunk is handed over, which may ask for more at once.
        if (page.isLast) end();
        controller.enqueue(list.take());
        if (page.isLast) controller.close();
      } catch (error) {
        fail(controller, error);
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
  return { position: opening.position, body };
}

async function nextOf(pages: AsyncGenerator<HistoryPage, void>): Promise<HistoryPage> {
  const { value } = await pages.next();
  if (!value) throw new Error("Cannot read the history: it has no last page");
  return value;
}

function tooSlow(pipeline: string): RunnelError {
  return new RunnelError(
    "request-timeout",
    `Cannot send the history of ${pipeline}: its client reads too slowly`,
  );
}
