/**
 * Sends what a source yields, as it comes.
 *
 * @module
 */

import type { Outbox } from "./outbox.ts";
import { assertChannel } from "./serialized_event.ts";
import { openSource } from "./source.ts";
import type { SseStream } from "./send_sse.ts";

/**
 * Sends what the outbox contains, then the payloads of a source. The source is read no
 * further than fits into the outbox.
 *
 * It goes by requests with idempotency keys, not by one request whose body streams:
 * browsers send those over HTTP/2 only, proxies buffer them, and they cannot be retried.
 *
 * @returns The number of events, once they are durable.
 * @throws {TypeError} If the channel or the source is invalid.
 * @throws {DeliveryError} If a request has failed. The source is canceled.
 */
export async function sendStream(outbox: Outbox, options: SseStream): Promise<number> {
  const { channel, source } = options ?? {};
  assertChannel(channel);
  const { pieces, reader } = openSource(source);
  const { stopped } = outbox;
  let count = 0;
  const addAll = async (payloads: Iterable<string>) => {
    for (const payload of payloads) {
      if (outbox.isFull) await outbox.room();
      stopped.throwIfAborted();
      outbox.add({ channel, payload });
      void outbox.send();
      count++;
    }
  };
  try {
    void outbox.send();
    while (true) {
      if (outbox.isFull) await outbox.room();
      stopped.throwIfAborted();
      const { done, value } = await orStopped(pieces.next(), stopped);
      if (done) break;
      await addAll(reader.read(value));
    }
    await addAll(reader.end());
  } catch (error) {
    // Not awaited: a source that hangs would hold up the error.
    pieces.cancel(error).catch(() => {});
    throw error;
  }
  await outbox.flush();
  return count;
}

/** Settles as something does, or rejects with the reason of a signal. */
function orStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
