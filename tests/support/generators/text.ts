/**
 * Between text and its bytes, nothing left out.
 *
 * @module
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A text's bytes. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** The text that bytes are, a byte order mark included. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
