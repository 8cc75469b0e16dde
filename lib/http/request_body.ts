/**
 * Reads the body of a request, within a limit.
 *
 * @module
 */

import { deadline, RunnelError, type Runtime } from "../base/mod.ts";

/** Limits of a request body. */
export interface BodyLimits {
  /** Maximum body size, in bytes. */
  maxBytes: number;
  /** Maximum time for the body to arrive, in milliseconds. */
  maxMs: number;
  /** Clock used for the deadline. */
  runtime: Pick<Runtime, "clock">;
}

/**
 * Reads a whole body, whether its length was announced or not.
 *
 * @throws {RunnelError} `too-large` over the limit, `request-timeout` if it takes
 *   too long, `unsupported-media-type` for an encoded body, `malformed-request` if
 *   the connection closes early.
 */
export async function readBody(
  request: Request,
  { maxBytes, maxMs, runtime }: BodyLimits,
): Promise<Uint8Array> {
  const coding = request.headers.get("content-encoding")?.toLowerCase() ?? "identity";
  if (coding !== "identity") {
    throw new RunnelError(
      "unsupported-media-type",
      "Cannot read body: it has a Content-Encoding. Send it without one",
    );
  }
  const announced = request.headers.get("content-length");
  // Before the body is sent, if the client waits for "100 Continue".
  if (Number(announced) > maxBytes) throw tooLarge(maxBytes);
  try {
    const reading = announced === null ? readParts(request, maxBytes) : request.bytes();
    const bytes = await deadline(runtime.clock, maxMs, reading, () => tooSlow(maxMs));
    if (bytes.length <= maxBytes) return bytes;
  } catch (cause) {
    if (cause instanceof RunnelError) throw cause;
    throw new RunnelError("malformed-request", "Cannot read body: it ended early. Send it again", {
      cause,
    });
  }
  throw tooLarge(maxBytes);
}

/** Reads a body of unknown length, until it exceeds its limit. */
async function readParts(request: Request, maxBytes: number): Promise<Uint8Array> {
  // Parts are copied, not kept: a part of one byte may retain a buffer of 64 KiB.
  const buffer = new ArrayBuffer(0, { maxByteLength: maxBytes + 1 });
  const bytes = new Uint8Array(buffer);
  for await (const part of request.body ?? []) {
    const start = buffer.byteLength;
    buffer.resize(Math.min(start + part.length, maxBytes + 1));
    bytes.set(part.subarray(0, buffer.byteLength - start), start);
    if (buffer.byteLength > maxBytes) break;
  }
  return bytes.slice();
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
    `Cannot read body: it exceeds ${maxBytes} bytes. Send fewer events in a request`,
  );
}
