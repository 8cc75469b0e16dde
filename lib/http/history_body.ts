/**
 * The JSON document of a history, sent page by page: the next page is read from
 * the log only when the connection asks for it.
 *
 * @module
 */

import { type Clock, RunnelError } from "../base/mod.ts";
import type { HistoryPage } from "../hub/mod.ts";
import { formatEventId, type RunEnd } from "../protocol/mod.ts";

/**
 * Maximum time that a client may take, in milliseconds: 6 MB at 50 KB a second. There
 * is none for a page: the kernel takes megabytes at once, and then nothing for long.
 */
const MAX_MS = 120_000;

const encoder = new TextEncoder();

/**
 * Creates the body of the answer with a history, one chunk for each page.
 *
 * @param pages Pages of the history. They are ended when the body is.
 * @param clock Clock for the deadline. Past it, and after an error of a page, the body
 *   ends with an error, so that no client takes a part for the whole.
 * @throws Whatever the first page throws: the status is still to be sent.
 */
export async function historyBody(
  pipeline: string,
  pages: AsyncGenerator<HistoryPage, void>,
  clock: Clock,
): Promise<ReadableStream<Uint8Array>> {
  let first: HistoryPage | null = await nextOf(pages);
  let hasEvents = false;
  let timer: Disposable | null = null;

  /** Stops everything. A page that is being read settles first, and is dropped. */
  const end = () => {
    timer?.[Symbol.dispose]();
    pages.return().catch(() => {});
  };
  const fail = (controller: ReadableStreamDefaultController, error: unknown) => {
    end();
    controller.error(error);
  };
  return new ReadableStream({
    start(controller) {
      timer = clock.after(MAX_MS, () => fail(controller, tooSlow(pipeline)));
    },
    async pull(controller) {
      try {
        const page = first ?? await nextOf(pages);
        const opening = first ? `{"pipeline":"${pipeline}","events":[` : "";
        const bytes = encodePage(page, hasEvents && page.events.length > 0 ? "," : opening);
        hasEvents ||= page.events.length > 0;
        first = null;
        // Before the chunk is handed over, which may ask for more at once.
        if (page.isLast) end();
        controller.enqueue(bytes);
        if (page.isLast) controller.close();
      } catch (error) {
        fail(controller, error);
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

async function nextOf(pages: AsyncGenerator<HistoryPage, void>): Promise<HistoryPage> {
  const { value } = await pages.next();
  if (!value) throw new Error("Cannot read the history: it has no last page");
  return value;
}

/** Encodes a page. The payloads are JSON text already, and stay as they were sent. */
function encodePage({ epoch, events, isLast, end }: HistoryPage, before: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let text = before;
  events.forEach(({ sequence, channel, time, payload }, index) => {
    const id = formatEventId({ epoch, sequence });
    const rest = JSON.stringify({ id, channel, time: new Date(time) });
    text += `${index > 0 ? "," : ""}${rest.slice(0, -1)},"payload":`;
    parts.push(encoder.encode(text), payload);
    text = "}";
  });
  parts.push(encoder.encode(isLast ? `${text}]${end ? endText(epoch, end) : ""}}` : text));
  return concat(parts);
}

/** Returns the member that tells the end of the run. */
function endText(epoch: string, { sequence, events }: RunEnd): string {
  return `,"end":${JSON.stringify({ id: formatEventId({ epoch, sequence }), events })}`;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function tooSlow(pipeline: string): RunnelError {
  return new RunnelError(
    "request-timeout",
    `Cannot send the history of ${pipeline}: its client reads too slowly`,
  );
}
