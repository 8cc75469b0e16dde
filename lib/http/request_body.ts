/**
 * Reads the body of a request, within limits of size, time and memory.
 *
 * @module
 */

import { deadline, RunnelError, type Runtime } from "../base/mod.ts";

/** Room that is reserved before a body is read, in bytes. A smaller one is read as a whole. */
const FIRST_BYTES = 4 * 1024;

/** Reserves memory for the time in which a body is read. */
type Reserve = (bytes: number, isMore: boolean) => void;

/**
 * Turns of the event loop after which an abort is known. After one it was missed by up
 * to a quarter of the bodies that broke off; no later than the second was seen.
 */
const ABORT_TURNS = 4;

/** Microtasks after which the reading of a body that is there has settled: 4 were seen. */
const SETTLED_STEPS = 8;

/** Limits of a request body. */
export interface BodyLimits {
  /** Maximum body size, in bytes. */
  maxBytes: number;
  /** Maximum time for the body to arrive, in milliseconds. */
  maxMs: number;
  /** Clock used for the deadline. */
  runtime: Pick<Runtime, "clock">;
  /** Reserves memory, in bytes: for the body, and then for more of it. Throws if there is none. */
  reserve: (bytes: number, isMore: boolean) => Disposable;
  /** Aborted when the drain begins, which cuts off bodies before it ends. */
  draining: AbortSignal;
  /** Aborted before the server closes its connections, which cuts off bodies as well. */
  shutdown?: AbortSignal | undefined;
}

/**
 * Reads a whole body, whether its length was announced or not. Room for it is
 * reserved before it is read, and in proportion to what has arrived: a client that
 * announces much and sends nothing takes nothing from others.
 *
 * @throws {RunnelError} `too-large` over the limit, `request-timeout` if it takes
 *   too long, `unsupported-media-type` for an encoded body, `malformed-request` if
 *   it ends early, `draining` or `overloaded` if it is cut off here, and what
 *   `reserve` throws.
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const { maxBytes, draining } = limits;
  assertNotEncoded(request);
  const announced = request.headers.get("content-length");
  // Before the body is sent, if the client waits for "100 Continue".
  if (Number(announced) > maxBytes) throw tooLarge(maxBytes);
  const isSmall = announced !== null && Number(announced) <= FIRST_BYTES;
  // Not asked of a small body: this makes a stream of it, for 4 of 40 µs of a publish.
  if (!isSmall && !request.body) return new Uint8Array();

  try {
    const bytes = isSmall
      ? await readSmall(request, Number(announced), limits)
      : await readLarge(request, limits);
    if (bytes.length > maxBytes) throw tooLarge(maxBytes);
    if (announced !== null && bytes.length !== Number(announced)) throw endedEarly();
    return bytes;
  } catch (cause) {
    if (cause instanceof RunnelError) throw cause;
    if (draining.aborted) throw cutOff("draining", "the instance is about to end", cause);
    if (limits.shutdown?.aborted) throw cutOff("overloaded", "the instance is full", cause);
    throw endedEarly({ cause });
  }
}

/**
 * Asserts that a body has no coding.
 *
 * @throws {RunnelError} `unsupported-media-type`.
 */
export function assertNotEncoded({ headers }: Request): void {
  const coding = headers.get("content-encoding")?.toLowerCase() ?? "identity";
  if (coding === "identity") return;
  throw new RunnelError(
    "unsupported-media-type",
    "Cannot read body: it has a Content-Encoding. Send it without one",
  );
}

/**
 * Returns the signal that tells whether a body was aborted, if nothing else does: over HTTP/2,
 * nothing but the end of the stream may tell that a body has ended, and an aborted one may
 * look like that. To be called before the body is read: a signal that is created later misses
 * an abort.
 */
export function signalOfUnknownLength(request: Request): AbortSignal | null {
  const { headers } = request;
  const isKnown = headers.has("content-length") || headers.has("transfer-encoding");
  // The runtime creates the signal when it is asked for.
  return isKnown ? null : request.signal;
}

/** Throws if the end of a body was in truth an abort, which is known a little later. */
export async function assertComplete(connection: AbortSignal): Promise<void> {
  for (let turn = 0; turn < ABORT_TURNS; turn++) {
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    if (connection.aborted) throw endedEarly();
  }
}

/**
 * Reads a small body of a known length at once: that is the fastest way. It takes no timer if
 * that settles without another turn of the event loop, as it does if the body came with its
 * head, for 3 of 40 µs of a publish.
 */
async function readSmall(
  request: Request,
  length: number,
  { maxMs, runtime: { clock }, reserve }: BodyLimits,
): Promise<Uint8Array> {
  using _room = reserve(length, false);
  const reading = request.bytes();
  let bytes: Uint8Array | null = null;
  reading.then((read) => bytes = read, () => {});
  for (let step = 0; step < SETTLED_STEPS && bytes === null; step++) await undefined;
  return bytes ?? await deadline(clock, maxMs, reading, () => tooSlow(maxMs));
}

/** Reads a body that is large, or whose length is not known. */
async function readLarge(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const { maxBytes, maxMs, runtime: { clock } } = limits;
  using room = new DisposableStack();
  const reserve: Reserve = (bytes, isMore) => void room.use(limits.reserve(bytes, isMore));
  const stop = new AbortController();
  const connection = signalOfUnknownLength(request);
  const reading = readParts(request.body!, { maxBytes, reserve, stopped: stop.signal });
  const bytes = await deadline(clock, maxMs, reading, () => {
    const error = tooSlow(maxMs);
    stop.abort(error);
    return error;
  });
  if (connection) await assertComplete(connection);
  return bytes;
}

/** Reads a body part by part, until it exceeds its limit. */
async function readParts(
  body: ReadableStream<Uint8Array>,
  { maxBytes, reserve, stopped }: {
    maxBytes: number;
    reserve: Reserve;
    stopped: AbortSignal;
  },
): Promise<Uint8Array> {
  const reader = body.getReader();
  // What arrives after that is dropped by the runtime.
  const cancel = () => void reader.cancel().catch(() => {});
  stopped.addEventListener("abort", cancel);
  try {
    // Parts are copied, not kept: a part of one byte may retain a buffer of 64 KiB.
    let length = 0;
    reserve(FIRST_BYTES, false);
    let buffer = new ArrayBuffer(FIRST_BYTES);
    for (;;) {
      const { value: part, done } = await reader.read();
      if (done) return new Uint8Array(buffer, 0, length);
      const needed = length + part.length;
      if (needed > maxBytes) throw tooLarge(maxBytes);
      if (needed > buffer.byteLength) {
        const size = Math.min(Math.max(needed, 2 * buffer.byteLength), maxBytes);
        reserve(size - buffer.byteLength, true);
        buffer = buffer.transfer(size);
      }
      new Uint8Array(buffer).set(part, length);
      length = needed;
    }
  } catch (error) {
    cancel();
    throw error;
  }
}

/** Creates the error of a body that broke off. */
export function endedEarly(options?: ErrorOptions): RunnelError {
  return new RunnelError(
    "malformed-request",
    "Cannot read body: it ended early. Send it again",
    options,
  );
}

/** Creates the error of a body that was cut off here. Its client may repeat the request. */
function cutOff(type: "draining" | "overloaded", reason: string, cause: unknown): RunnelError {
  const message = `Cannot read body: ${reason}. Nothing was stored; send it again`;
  return new RunnelError(type, message, { cause });
}

function tooSlow(maxMs: number): RunnelError {
  return new RunnelError(
    "request-timeout",
    `Cannot read body: it did not arrive within ${maxMs} ms. Send it faster, or in several requests`,
  );
}

function tooLarge(maxBytes: number): RunnelError {
  return new RunnelError(
    "too-large",
    `Cannot read body: it exceeds ${maxBytes} bytes. Send less in one request`,
  );
}
