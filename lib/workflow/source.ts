/**
 * Opens the sources of events.
 *
 * @module
 */

import {
  EventStreamSourceReader,
  NdjsonSourceReader,
  type SourceReader,
  ValueReader,
} from "./source_reader.ts";

/** Pieces of a source, in order. */
export interface Pieces {
  /** Returns the next piece. Not called again before it has settled. */
  next(): Promise<IteratorResult<unknown>>;
  /** Releases the source before its end. Rejects if that fails. */
  cancel(reason: unknown): Promise<void>;
}

/** Source that is read from its beginning. */
export interface OpenSource {
  /** Its pieces. */
  pieces: Pieces;
  /** Reader of the payloads in them. */
  reader: SourceReader;
}

/**
 * Opens a source.
 *
 * @throws {TypeError} If it is of no known kind, or is in use.
 * @throws {Error} If it is a response that is not ok.
 */
export function openSource(source: unknown): OpenSource {
  if (!isResponse(source)) return { pieces: piecesOf(source), reader: new ValueReader() };
  const { ok, status, bodyUsed, body, headers } = source;
  if (bodyUsed) throw new TypeError("Cannot send: the body of the response was already read");
  const pieces = body === null ? piecesOf(nothing()) : piecesOf(body);
  if (ok) return { pieces, reader: createReader(headers.get("Content-Type") ?? "") };
  pieces.cancel(undefined).catch(() => {});
  // An error page is not for the subscribers.
  throw new Error(
    `Cannot send: the source answered ${status}. Expected a response with a status from 200 to 299`,
  );
}

/** Whether a value is a response, also one of another implementation of `fetch`. */
function isResponse(source: unknown): source is Response {
  const { headers, bodyUsed } = (source ?? {}) as Partial<Response>;
  return typeof headers?.get === "function" && typeof bodyUsed === "boolean";
}

async function* nothing(): AsyncGenerator<never> {}

function createReader(contentType: string): SourceReader {
  const type = contentType.split(";")[0]!.trim().toLowerCase();
  if (type === "text/event-stream") return new EventStreamSourceReader();
  return type === "application/x-ndjson" ? new NdjsonSourceReader() : new ValueReader();
}

function piecesOf(source: unknown): Pieces {
  const { getReader, [Symbol.asyncIterator]: iterate } = (source ?? {}) as Partial<
    & ReadableStream<unknown>
    & AsyncIterable<unknown>
  >;
  // First: not every browser can iterate over a stream.
  if (typeof getReader === "function") {
    const reader = (source as ReadableStream<unknown>).getReader();
    return {
      next: () => reader.read() as Promise<IteratorResult<unknown>>,
      cancel: (reason) => reader.cancel(reason),
    };
  }
  if (typeof iterate === "function") {
    const iterator = (source as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    return {
      // Async: an iterator may also throw, or return its result without a promise.
      next: async () => await iterator.next(),
      cancel: async () => void await iterator.return?.(),
    };
  }
  const hint = source instanceof Promise ? ", got a promise. Await it first" : "";
  throw new TypeError(
    "Cannot send: source: expected an async iterable, a ReadableStream or a Response" + hint,
  );
}
