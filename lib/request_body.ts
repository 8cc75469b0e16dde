/**
 * Reads the body of a request, within a limit.
 *
 * @module
 */

import { RunnelError } from "./errors.ts";

/** The most bytes of a body: what one atomic commit of the log holds in any case. */
export const MAX_BODY_BYTES: number = 512 * 1024;

/**
 * Reads a whole body, whether its length was announced or not.
 *
 * @param request Whose body.
 * @param maxBytes How many bytes it may have.
 * @returns The body's bytes.
 * @throws {RunnelError} `too-large` over the limit, `unsupported-media-type` for
 *   a body that is encoded, `malformed-request` if it breaks off.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const request = new Request("http://localhost/", { method: "POST", body: "1234" });
 * equal((await readBody(request, 4)).length, 4);
 * ```
 */
export async function readBody(
  request: Request,
  maxBytes: number = MAX_BODY_BYTES,
): Promise<Uint8Array> {
  const coding = request.headers.get("content-encoding")?.toLowerCase() ?? "identity";
  if (coding !== "identity") {
    throw new RunnelError(
      "unsupported-media-type",
      "Cannot read body: it has a Content-Encoding. Send it without one",
    );
  }
  // Refused before it is sent, where the sender waits for that.
  if (Number(request.headers.get("content-length")) > maxBytes) throw tooLarge(maxBytes);
  // Parts are copied, not kept: one of a single byte may hold a buffer of 64 KiB.
  const buffer = new ArrayBuffer(0, { maxByteLength: maxBytes });
  const bytes = new Uint8Array(buffer);
  let length = 0;
  try {
    for await (const part of request.body ?? []) {
      const start = length;
      length += part.length;
      if (length > maxBytes) break;
      buffer.resize(length);
      bytes.set(part, start);
    }
  } catch (cause) {
    throw new RunnelError("malformed-request", "Cannot read body: it broke off", { cause });
  }
  if (length > maxBytes) throw tooLarge(maxBytes);
  return bytes.slice();
}

function tooLarge(maxBytes: number): RunnelError {
  return new RunnelError(
    "too-large",
    `Cannot read body: it exceeds ${maxBytes} bytes. Send fewer events in a request`,
  );
}
