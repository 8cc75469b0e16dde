/**
 * Reads the body of a request, within a limit.
 *
 * @module
 */

import { deadline, RunnelError, type Runtime } from "../base/mod.ts";

/** What a body may take. */
export interface BodyLimits {
  /** How many bytes it may have. */
  maxBytes: number;
  /** How long it may take to come, in milliseconds. */
  maxMs: number;
  /** Clock used for the deadline. */
  runtime: Pick<Runtime, "clock">;
}

/**
 * Reads a whole body, whether its length was announced or not.
 *
 * @param request Whose body.
 * @param limits What it may take.
 * @returns The body's bytes.
 * @throws {RunnelError} `too-large` over the limit, `request-timeout` if it takes
 *   too long, `unsupported-media-type` for a body that is encoded,
 *   `malformed-request` if it breaks off.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { systemRuntime as runtime } from "../base/mod.ts";
 *
 * const request = new Request("http://localhost/", { method: "POST", body: "1234" });
 * equal((await readBody(request, { maxBytes: 4, maxMs: 1000, runtime })).length, 4);
 * ```
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
  // Refused before it is sent, where the sender waits for that.
  if (Number(announced) > maxBytes) throw tooLarge(maxBytes);
  try {
    const reading = announced === null ? readParts(request, maxBytes) : request.bytes();
    const bytes = await deadline(runtime.clock, maxMs, reading, () => tooSlow(maxMs));
    if (bytes.length <= maxBytes) return bytes;
  } catch (cause) {
    if (cause instanceof RunnelError) throw cause;
    throw new RunnelError("malformed-request", "Cannot read body: it broke off", { cause });
  }
  throw tooLarge(maxBytes);
}

/** Reads a body whose length nobody knows, until it is too long. */
async function readParts(request: Request, maxBytes: number): Promise<Uint8Array> {
  // Parts are copied, not kept: one of a single byte may hold a buffer of 64 KiB.
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
    `Cannot read body: it did not come within ${maxMs} ms. Send it faster, or in parts`,
  );
}

function tooLarge(maxBytes: number): RunnelError {
  return new RunnelError(
    "too-large",
    `Cannot read body: it exceeds ${maxBytes} bytes. Send fewer events in a request`,
  );
}
